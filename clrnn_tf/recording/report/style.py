"""How a report looks: on paper, on a screen, on a phone; on light and on dark."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2326; --muted: #5d666b; --rule: #d9dee1; --paper: #fff; --wash: #f3f5f6;
  --bar: #0080C8; --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ea; --muted: #9aa5ab; --rule: #363d42; --paper: #15191c;
  --wash: #1f2529; --bar: #3f9fd8; } }
* { box-sizing: border-box; }
body { font: 15px/1.55 var(--sans); color: var(--ink); background: var(--paper); max-width: 932px;
  margin: 0 auto; padding: 2.5rem 16px 4rem; overflow-wrap: break-word; font-variant-numeric: tabular-nums; }
header { border-bottom: 2px solid var(--ink); padding-bottom: .8rem; margin-bottom: 1.4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0; letter-spacing: -.01em; text-wrap: balance; }
header p { margin: .35rem 0 0; color: var(--muted); }
h2 { font-size: 1.15rem; margin: 2.6rem 0 .6rem; padding-top: .5rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p { margin: .5rem 0; max-width: 46rem; } .lead { font-size: 1.1rem; }
.warning { border-left: 4px solid #D55E00; padding: .3rem .8rem; background: var(--wash); }
.note, figcaption, caption, small { color: var(--muted); font-size: .87rem; } small { display: block; }
.numbers { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.2rem, 1fr)); gap: 1rem 1.3rem;
  margin: 1.3rem 0 0; }
.numbers div { border-top: 1px solid var(--rule); padding-top: .4rem; color: var(--muted); font-size: .87rem; }
.numbers b { display: block; font-size: 1.6rem; line-height: 1.2; color: var(--ink); white-space: nowrap; }
.numbers b span { font-size: .95rem; font-weight: 400; margin-left: .15em; }
figure { margin: 1rem 0; min-width: 0; } figcaption { max-width: 46rem; }
svg { display: block; max-width: 100%; height: auto; }
svg * { stroke-linejoin: round; } svg text { font-family: var(--sans); }
.narrow { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .6rem 0; padding: 0; list-style: none; }
.key { display: inline-block; vertical-align: -.1em; margin-right: .45em; } .key svg { overflow: visible; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; padding: 0 0 .4rem; }
th, td { padding: .22rem 0 .22rem .9rem; text-align: right; vertical-align: baseline; }
th { font-weight: 600; } thead th { border-bottom: 1px solid var(--ink); vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; padding-left: 0; } td { white-space: nowrap; }
td:first-child, td.text, td.bars, table.facts td { white-space: normal; } td.text, th.text { text-align: left; }
tr.mean > * { font-weight: 600; border-top: 1px solid var(--ink) !important; } tr.this { font-weight: 600; }
tr.this small { font-weight: 400; }
table.facts th { font-weight: 400; color: var(--muted); width: 14rem; padding-right: 1rem; }
table.facts td { text-align: left; padding-left: 0; overflow-wrap: anywhere; }
td.bars { width: 26%; min-width: 5.5rem; }
.bar { display: block; position: relative; height: .7em; background: var(--wash); outline: 1px solid var(--rule); }
.bar i { position: absolute; inset: 0 auto 0 0; background: var(--bar); }
.bar b { position: absolute; top: -.25em; bottom: -.25em; width: 2px; margin-left: -1px; background: var(--ink); }
pre { background: var(--wash); padding: .7rem .9rem; font-size: .87rem; line-height: 1.45; white-space: pre-wrap;
  overflow-wrap: anywhere; margin: .5rem 0; }
details > summary { cursor: pointer; margin: .8rem 0; } img { max-width: 100%; height: auto; background: #fff; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem; }
@media (max-width: 640px) {
  .runs th:nth-child(6), .runs td:nth-child(6) { display: none; } .runs small { overflow-wrap: anywhere; }
  body { padding-top: 1.2rem; } h1 { font-size: 1.45rem; }
  .wide { display: none; } .narrow { display: block; } .numbers { grid-template-columns: 1fr 1fr; }
  th, td { padding-left: .45rem; } table { font-size: .84rem; } td.bars { width: auto; min-width: 2.4rem; }
  table.beside th:nth-child(4), table.beside td:nth-child(4) { display: none; }
  table.facts tr { display: block; padding: .3rem 0; border-top: 1px solid var(--rule); }
  table.facts th, table.facts td { display: block; width: auto; padding: 0; border: 0 !important; }
}
@media print {
  :root { color-scheme: light; --ink: #000; --muted: #444; --rule: #ccc; --paper: #fff; --wash: #f3f5f6; }
  body { max-width: none; padding: 0; font-size: 10.5pt; } * { print-color-adjust: exact; }
  .wide { display: block; } .narrow { display: none; } figure, tr, .numbers { break-inside: avoid; }
  h2 { break-after: avoid; } details:not([open]) { display: none; }
}
"""
