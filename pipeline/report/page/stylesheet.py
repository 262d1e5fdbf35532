"""How the report looks: one calm column, light or dark as the reader's system is."""

STYLE = """
:root{--paper:#f6f7f9;--card:#fff;--ink:#1f2328;--faint:#5d6671;--line:#dfe3e8;--accent:#1a63d6;--bar:#dbe9fb;
--warn:#8a4b00;--warn-paper:#fff4e0;--blend:multiply}
@media(prefers-color-scheme:dark){:root{--paper:#0e1116;--card:#161b22;--ink:#e6e9ed;--faint:#9aa4b0;--line:#2b323b;
--accent:#6cb0ff;--bar:#1d3552;--warn:#ffc977;--warn-paper:#2d2313;--blend:screen}
.plot{filter:invert(1) hue-rotate(180deg)}}
*{box-sizing:border-box}
[hidden]{display:none!important}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
body>header,body>nav,main{max-width:72rem;margin:0 auto}
h1{font-size:1.6rem;line-height:1.25;margin:.1rem 0 1rem;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:1.25rem;margin:0 0 .75rem}
h3{font-size:1rem;margin:1.75rem 0 .5rem;overflow-wrap:anywhere}
p,li{margin:.5rem 0;max-width:46rem}
a{color:var(--accent)}
small,figcaption,.faint,caption{color:var(--faint);font-size:.86rem}
section,.verdict{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1.4rem 1.5rem}
section{scroll-margin-top:5rem;margin:1.1rem 0}
.eyebrow{color:var(--faint);font-size:.8rem;letter-spacing:.08em;text-transform:uppercase;margin:0}
.caution{background:var(--warn-paper);color:var(--warn);border-radius:.5rem;padding:.5rem .8rem;margin:.9rem 0 0;
max-width:none}
nav{position:sticky;top:0;z-index:3;background:var(--paper);border-bottom:1px solid var(--line);padding:.6rem 0;
display:flex;gap:.3rem 1.1rem;flex-wrap:wrap;font-size:.92rem}
nav a{text-decoration:none}
nav a:hover,nav a:focus{text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.8rem;margin:1rem 0 .4rem}
.tile{border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem}
.tile b{display:block;font-size:1.9rem;line-height:1.2;font-weight:650;font-variant-numeric:tabular-nums;
letter-spacing:-.02em}
.tile.main{border-color:var(--accent);border-width:2px}
.tile span{display:block;font-weight:600}
.tile small{display:block}
.tile i{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.4rem}
.scroll{overflow-x:auto;margin:.9rem 0}
.tall{max-height:min(36rem,80vh);overflow:auto;border-bottom:1px solid var(--line)}
table{border-collapse:separate;border-spacing:0;font-size:.88rem;line-height:1.25rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.4rem}
caption span{display:inline-block;position:sticky;left:0;max-width:min(46rem,calc(100vw - 4.5rem))}
th,td{padding:.375rem .625rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;vertical-align:top}
thead th{color:var(--faint);font-weight:600;vertical-align:bottom;white-space:normal}
th:first-child{text-align:left;white-space:nowrap;position:sticky;left:0;background:var(--card);z-index:1}
tbody th{font-weight:600}
td small,tbody th small{display:block;font-size:.95em;line-height:1.05rem;font-weight:400}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(28rem,100%),1fr));gap:0 2.5rem}
.sides>div{min-width:0;margin:1rem 0 0}
.sides h2{font-size:1.05rem;margin:0 0 .4rem}
.sides .caution{margin:.5rem 0}
.summary td,.summary th{text-align:left}
.summary tbody th{white-space:normal;max-width:13rem}
.summary tbody .group th{max-width:none;white-space:nowrap}
.summary td b{font-weight:650}
.group th{color:var(--faint);font-weight:600;font-size:.8rem;letter-spacing:.05em;text-transform:uppercase;padding-top:1rem}
.groups th{text-align:center;border-bottom:1px solid var(--faint)}
.groups td{border:0}
.tall thead{position:sticky;top:0;z-index:2;background:var(--card)}
td.bar{border-left:.3rem solid var(--card);
background:linear-gradient(90deg,var(--bar) calc(var(--share)*100%),transparent 0)}
th button{font:inherit;color:inherit;background:none;border:0;padding:.25rem 0;cursor:pointer;text-align:inherit}
th button:hover{color:var(--ink);text-decoration:underline}
th[aria-sort] button::after{content:"\\2195";opacity:.45;padding-left:.3rem}
th[aria-sort=ascending] button::after{content:"\\2191";opacity:1}
th[aria-sort=descending] button::after{content:"\\2193";opacity:1}
.filter{display:flex;flex-wrap:wrap;gap:.4rem 1rem;align-items:center;margin:.9rem 0 0}
.filter output{color:var(--faint);font-size:.88rem}
input[type=search]{font:inherit;color:inherit;background:var(--paper);border:1px solid var(--faint);border-radius:.4rem;
padding:.3rem .6rem;width:14rem;max-width:100%}
.words td,.prose td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.words td{min-width:12rem}
.words thead{display:none}
.prose th,.prose th:first-child{text-align:left;white-space:normal}
pre{background:var(--paper);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem;overflow-x:auto;
font-size:.88rem;margin:.6rem 0}
figure{margin:.9rem 0;min-width:0}
img{display:block;max-width:100%;height:auto;border-radius:.4rem}
img.plot{width:100%}
img.scan{margin:0 auto}
img.small{width:auto}
img.plot{mix-blend-mode:var(--blend)}
img.film{margin:0 auto}
.glances{display:grid;grid-template-columns:repeat(auto-fill,minmax(8.5rem,1fr));gap:.6rem}
.glances figure{margin:0}
.glances img{width:100%;image-rendering:auto}
figcaption{margin-top:.45rem;max-width:46rem}
.moving summary{font-weight:400;font-size:.92rem}
details{margin:.9rem 0}
summary{cursor:pointer;font-weight:600}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media(max-width:40rem){body{padding:1rem .7rem 3rem}section,.verdict{padding:1rem .9rem}nav{position:static}
img.plot,img.scan{min-width:44rem}img.small{min-width:0}th,td{padding:.375rem .4375rem}table{font-size:.82rem}
.words th:first-child{white-space:normal}.tall{max-height:70vh}}
@media(prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{nav,.filter{display:none}section,.verdict{break-inside:avoid-page;border:0;padding:0}.tall{max-height:none}}
"""
