"""The results as one SVG: a group of bars a work, wall seconds, with CPU seconds and peak memory beside each."""

from html import escape

WIDTH, LEFT, RIGHT, BAR, GAP = 760, 96, 250, 20, 6
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.small { font-size: 11.5px; fill: #59636e }
.sluice { fill: #0969da } .peer { fill: #afb8c1 } .goal { stroke: #cf222e; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .small { fill: #9198a1 }
  .sluice { fill: #4493f8 } .peer { fill: #656c76 } .goal { stroke: #f85149 }
}
"""


def bars(results):
    """`results` as compare.py writes them."""
    parts, top = [], 8
    for work in results["works"]:
        drawn, top = group(work, top)
        parts += drawn
    machine = results["machine"]
    about = f"{machine['cores']} cores of {machine['cpu']}; {', '.join(machine['versions'])}; medians"
    parts.append(text(8, top + 12, about, "small"))
    parts.append(text(8, top + 28, "dashed: the goal", "small"))
    height = top + 40
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    return "\n".join([head, "<title>Sluice and its peers, wall seconds</title>", f"<style>{STYLE}</style>", *parts, "</svg>\n"])


def group(work, top):
    tools = work["tools"]
    scale = (WIDTH - LEFT - RIGHT) / max(row["wall"] for row in tools.values())
    parts = [text(8, top + 14, f"{work['label']}: {work['ratio']:.2f} of the fastest peer's time", "title")]
    first = top = top + 24
    for tool, row in tools.items():
        width = max(1, row["wall"] * scale)
        kind = "sluice" if tool == "sluice" else "peer"
        told = f"{row['wall']:.2f} s · {row['cpu']:.2f} CPU s · {row['rss']:.0f} MB"
        parts.append(text(8, top + 14, tool))
        parts.append(f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>')
        parts.append(text(LEFT + width + 8, top + 14, told, "small"))
        top += BAR + GAP
    peers = [row["wall"] for tool, row in tools.items() if tool not in ("sluice", "cp")]
    at = LEFT + min(peers) * work["goal"] * scale
    parts.append(f'<line class="goal" x1="{at:.1f}" x2="{at:.1f}" y1="{first - 2}" y2="{top - GAP + 2}"/>')
    return parts, top + 14


def text(x, y, words, kind=""):
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y}"{kind}>{escape(words)}</text>'
