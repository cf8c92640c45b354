"""How the report looks: one column, light and dark, from phone to desk."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #ffffff; --ink: #1f2328; --soft: #57606a; --line: #d0d7de;
  --card: #f6f8fa; --bar: #4c78a8; --true: #1a7f37; --wrong: #b42318;
  --cell: 76 120 168;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1117; --ink: #e6edf3; --soft: #9198a1; --line: #3d444d;
    --card: #161b22; --bar: #79b8ff; --true: #56d364; --wrong: #ff9492;
    --cell: 90 150 220;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 70rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 {
  font-size: 1.25rem; margin: 2.5rem 0 0.75rem; padding-bottom: 0.25rem;
  border-bottom: 1px solid var(--line);
}
h3 { font-size: 1rem; margin: 0 0 0.5rem; }
p { max-width: 45rem; }
a { color: inherit; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; padding: 0; }
nav li { list-style: none; }
.note, figcaption, caption { color: var(--soft); font-size: 0.875rem; }
caption { text-align: left; padding-bottom: 0.25rem; }
table { border-collapse: collapse; }
th, td {
  text-align: left; vertical-align: top; padding: 0.2rem 0.75rem 0.2rem 0;
}
th { font-weight: 500; }
.columns {
  display: grid; gap: 1rem 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
}
.facts th { color: var(--soft); font-weight: 400; white-space: nowrap; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
.figures div {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.6rem 1rem; min-width: 9rem;
}
.figures dt { color: var(--soft); font-size: 0.875rem; }
.figures dd { margin: 0; font-size: 1.4rem; font-weight: 600; }
.figures dd small { display: block; font-size: 0.8rem; font-weight: 400; }
.bars { width: 100%; table-layout: fixed; }
.bars th { width: 56%; }
.bars td { padding-right: 0; white-space: nowrap; }
.bar {
  display: inline-block; vertical-align: middle; width: calc(100% - 5rem);
  height: 0.6rem; background: var(--line); border-radius: 3px; overflow: hidden;
}
.bar span { display: block; height: 100%; background: var(--bar); }
.number {
  display: inline-block; width: 5rem; text-align: right;
  font-variant-numeric: tabular-nums;
}
.true, .right-answer { color: var(--true); font-size: 0.875rem; }
.wrong-answer { color: var(--wrong); font-size: 0.875rem; }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.9rem; margin: 0 0 1rem;
}
.seen { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.seen .tiles { flex: 1 1 20rem; }
.seen.many .tiles { flex-basis: 100%; }
.seen .tables { flex: 1 1 24rem; max-width: 40rem; }
.tiles { display: flex; flex-wrap: wrap; gap: 0.6rem; align-items: start; }
.tile { margin: 0; width: 9.5rem; }
.tables .bars + .bars { margin-top: 0.75rem; }
img { max-width: 100%; height: auto; display: block; border-radius: 4px; }
.chart { margin: 0; }
.charts {
  display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
}
.chart img { width: 100%; border: 1px solid var(--line); border-radius: 8px; }
.wide { overflow-x: auto; margin-bottom: 1.5rem; }
.matrix { overflow-wrap: normal; font-size: 0.85rem; }
.matrix td, .matrix thead th { text-align: center; padding: 0.2rem 0.4rem; }
.matrix td {
  min-width: 1.9rem; border: 1px solid var(--line);
  background: rgb(var(--cell) / calc(var(--share) * 0.8));
}
.matrix td.right { outline: 2px solid var(--true); outline-offset: -2px; }
.matrix thead th:first-child { text-align: left; }
.matrix tbody th {
  white-space: nowrap; position: sticky; left: 0; background: var(--ground);
}
@media (max-width: 30rem) {
  .seen .tables { flex-basis: 100%; }
  .tile { width: calc(50% - 0.3rem); }
  .matrix tbody th {
    max-width: 9.5rem; overflow: hidden; text-overflow: ellipsis;
  }
}
@media print { nav { display: none; } .card { break-inside: avoid; } }
"""
