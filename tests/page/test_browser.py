"""Pages in Chromium, on a phone and a desk, by day and by night."""

import functools
import http.server
import shutil
import subprocess
import threading

import pytest

from dsr_tf.page.page import page
from tests.page.test_page import read

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
# A page in a frame of some width, which says how wide it became.
AROUND = """<!DOCTYPE html><title>running</title>
<style>body{{margin:0}}iframe{{border:0}}</style>
<iframe src="{name}.html" width="{width}" height="800"></iframe><script>
onload=()=>{{const inner=frames[0], root=inner.document.documentElement;
const dark=inner.matchMedia("(prefers-color-scheme: dark)").matches;
const paper=inner.getComputedStyle(inner.document.body).backgroundColor;
document.title=[root.scrollWidth,inner.innerWidth,dark,paper].join(";")}}
</script>"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site(logged, tmp_path_factory):
    """A folder of pages, served, and its address."""
    folder = tmp_path_factory.mktemp("site")
    long = f"{'block' * 30}/conv/kernel"
    few = logged(["one/kernel", long])
    many = logged([f"group{n}/block/conv/kernel" for n in range(24)])
    for name, folders in (
        ("few", [few]),
        ("many", [many]),
        ("several", [few, many]),
    ):
        runs = [read(run) for run in folders]
        (folder / f"{name}.html").write_text(page(runs))
        for width in (390, 1280):
            around = AROUND.format(name=name, width=width)
            (folder / f"{name}-{width}.html").write_text(around)
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("is_dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["few", "many", "several"])
def test_it_fits_and_says_nothing(name, width, is_dark, site, tmp_path):
    scheme = 0 if is_dark else 1
    ended = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={tmp_path}",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1400,900",
            "--enable-logging=stderr",
            "--dump-dom",
            f"{site}/{name}-{width}.html",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    title = ended.stdout.partition("<title>")[2].partition("</title>")[0]
    needed, given, dark, paper = title.split(";")
    assert int(needed) == int(given) == width
    assert dark == ("true" if is_dark else "false")
    assert paper == ("rgb(13, 17, 23)" if is_dark else "rgb(255, 255, 255)")
    said = [line for line in ended.stderr.splitlines() if "CONSOLE" in line]
    # The server has no icon for its pages.
    assert not [line for line in said if "favicon" not in line]
