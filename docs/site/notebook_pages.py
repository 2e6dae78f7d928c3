"""Notebooks as pages: text, code, and what the code has printed and drawn."""

import json


def page(text):
    """A notebook in Markdown.

    Args:
        text: What its file holds, in JSON.
    """
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
        else:
            parts.append(f"```python\n{source}\n```")
            parts.extend(map(_output, cell["outputs"]))
    return "\n\n".join(parts) + "\n"


def _output(output):
    """What a cell has printed, drawn, or has for its last value."""
    data = output.get("data", {})
    if "image/png" in data:
        encoded = "".join(data["image/png"]).replace("\n", "")
        return f"![what the code draws](data:image/png;base64,{encoded})"
    lines = output.get("text") or data["text/plain"]
    printed = "".join(lines).rstrip("\n")
    return f"```text\n{printed}\n```"
