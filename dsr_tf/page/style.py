"""How pages look: light and dark, on a phone and on paper."""

# Colours of Okabe & Ito (2008), which colour-blind people tell apart; in the
# dark the light ones come first.
CSS = """
:root{color-scheme:light dark;
--paper:#fff;--panel:#f6f8fa;--ink:#1f2328;--soft:#59636e;--rule:#d1d9e0;
--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#b2509a;--c4:#b27700;--c5:#444;
--up:#0072b2;--down:#d55e00;--bar:#0072b233}
@media(prefers-color-scheme:dark){:root{
--paper:#0d1117;--panel:#161b22;--ink:#e6edf3;--soft:#9da7b1;--rule:#30363d;
--c0:#56b4e9;--c1:#e69f00;--c2:#2fcf9f;--c3:#e59ac6;--c4:#f0e442;--c5:#ddd;
--up:#56b4e9;--down:#e69f00;--bar:#56b4e93d}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
overflow-wrap:anywhere}
main{max-width:1280px;margin:auto;padding:20px 20px 60px}
h1{font-size:1.6em;line-height:1.25;margin:.3em 0 0}
h2{font-size:1.2em;margin:2.2em 0 .2em;padding-top:.7em;
border-top:1px solid var(--rule)}
p{margin:.3em 0}
a{color:var(--c0)}
.intro,.from,.note,.unit{color:var(--soft)}
.intro{max-width:80ch;margin-bottom:.8em}
.note,.unit{font-size:.87em}
.unit{margin-left:.6em}
figure{margin:0;padding:12px;background:var(--panel);border-radius:8px;
min-width:0}
figcaption b{font-weight:600}
.grid{display:grid;gap:14px;
grid-template-columns:repeat(auto-fit,minmax(min(100%,360px),1fr))}
section>.grid,section>figure,section>.scroll,section>div{margin-top:14px}
section>figure:not(.wide){max-width:464px}
.chart{display:block;width:100%;height:auto;max-width:440px}
.grid .chart{margin:auto}
text{fill:var(--soft);font:12px system-ui,sans-serif}
.grid path.grid,path.grid{stroke:var(--rule);fill:none}
path.tick{stroke:var(--soft);fill:none}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}
.c3{stroke:var(--c3)}.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}
.point{stroke-width:1.5;fill-opacity:.5}
.point.c0{fill:var(--c0)}.point.c1{fill:var(--c1)}.point.c2{fill:var(--c2)}
.point.c3{fill:var(--c3)}.point.c4{fill:var(--c4)}.point.c5{fill:var(--c5)}
.area{fill:var(--up);stroke:var(--panel);stroke-width:.4}
.up{fill:var(--up)}.down{fill:var(--down)}
.ribbon{fill:var(--soft);fill-opacity:.3}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;margin-top:6px;
font-size:.87em;color:var(--soft)}
.legend span{display:inline-flex;align-items:center;gap:6px}
.key{width:18px;height:12px;flex:none}
.heat{margin:8px 0;font-size:.85em;display:grid;gap:0 10px;
align-items:center;
grid-template-columns:fit-content(200px) minmax(60px,1fr) auto}
.strip{display:contents}
.name{display:block;overflow:hidden;text-overflow:ellipsis;
white-space:nowrap}
.masks .name,.small .name{text-align:left}
.strip .value{color:var(--soft);white-space:nowrap;
font-variant-numeric:tabular-nums}
.cells{display:block;width:100%;height:15px;margin:1px 0;
background:var(--paper)}
.heat .key,.legend svg.key{background:var(--paper)}
.ends{display:flex;justify-content:space-between;color:var(--soft);
grid-column:2}
.tiles{display:grid;gap:12px;margin:18px 0 0;
grid-template-columns:repeat(auto-fill,minmax(min(100%,140px),1fr))}
.tiles div{padding:10px 12px;background:var(--panel);border-radius:8px}
.tiles dt{color:var(--soft);font-size:.87em}
.tiles dd{margin:0}
.number{font-size:1.35em;font-weight:600;line-height:1.3}
.small{display:grid;gap:10px;
grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}
.small figure,.masks figure{padding:8px}
.small figcaption,.masks figcaption{font-size:.8em;line-height:1.35;
color:var(--soft)}
.small b,.masks b{display:block;color:var(--ink)}
.masks{display:grid;gap:14px;align-items:start;
grid-template-columns:repeat(auto-fill,minmax(min(100%,180px),1fr))}
.masks img{display:block;width:100%;image-rendering:pixelated;
background:var(--paper);border:1px solid var(--rule);margin-bottom:6px;
max-height:420px}
.scroll{overflow-x:auto;max-width:100%}
table{border-collapse:collapse;overflow-wrap:normal;font-size:.9em;
font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:6px 0}
th,td{padding:4px 12px;border-bottom:1px solid var(--rule);
text-align:right;white-space:nowrap}
thead th{color:var(--soft);font-weight:500;vertical-align:bottom;
white-space:normal}
tbody th{text-align:left;font-weight:500}
thead th:first-child{text-align:left}
th:first-child{padding-left:0}
.bar{display:block;min-width:84px;padding:0 4px;
background:linear-gradient(to right,var(--bar) var(--share),transparent 0)}
details{margin-top:22px}
summary{cursor:pointer;color:var(--soft)}
details.run>summary{font-size:1.2em;color:var(--ink);font-weight:600;
padding:8px 0;border-top:1px solid var(--rule)}
@media(max-width:600px){main{padding:12px 12px 40px}figure{padding:9px}
.heat{grid-template-columns:fit-content(136px) minmax(60px,1fr) auto;
gap:0 6px;font-size:.78em}th,td{padding:4px 7px}
.masks,.tiles{grid-template-columns:repeat(2,minmax(0,1fr))}
.small{grid-template-columns:repeat(auto-fill,minmax(150px,1fr))}}
@media print{:root{--panel:#fff}main{max-width:none;padding:0}
body{font-size:10pt}*{print-color-adjust:exact}
figure,.tiles div{border:1px solid var(--rule);break-inside:avoid}
.wide{break-inside:auto}.cells,tr{break-inside:avoid}
h2{break-after:avoid}.scroll{overflow:visible}
details::details-content{content-visibility:visible;height:auto}}
"""
