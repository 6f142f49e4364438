"""Lines and their axes as SVG: powers of ten both ways, readable on white and on black."""
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 180, 20, 50
COLOURS = ["#d1495b", "#00798c", "#edae49", "#66a182", "#8d6a9f", "#6c757d"]


def first_syncs(environments, path):
    lines = {}
    for one in environments:
        for name in ("first", "floor", "script"):
            if one["shape"] == "wide" or name != "script":
                label = f"{'lineaged' if name == 'first' else name}, {one['shape']}"
                lines.setdefault(label, []).append((one["nodes"], one["steps"][name]["cpu"]))
    write(lines, "nodes", "CPU seconds of the first sync", path)


def later_syncs(environments, path):
    lines = {}
    for one in (one for one in environments if "unchanged" in one["steps"]):
        for name, label in (("first", "first"), ("changed", "1 % changed"), ("full", "full read"), ("unchanged", "unchanged")):
            lines.setdefault(label, []).append((one["nodes"], one["steps"][name]["cpu"]))
    write(lines, "nodes", "CPU seconds of a sync", path)


def decades(values):
    return math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)) + 1e-9)


def write(lines, across, up, path):
    points = [point for line in lines.values() for point in line]
    (x0, x1), (y0, y1) = decades([x for x, _ in points]), decades([y for _, y in points])
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    at_x = lambda x: LEFT + (math.log10(x) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)
    at_y = lambda y: HEIGHT - BOTTOM - (math.log10(y) - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM)
    parts = []
    for power in range(x0, x1 + 1):
        x = at_x(10**power)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10**power:,}</text>')
    for power in range(y0, y1 + 1):
        y = at_y(10**power)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10**power:g}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{across}</text>')
    parts.append(f'<text transform="translate(18 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">{up}</text>')
    for number, (label, line) in enumerate(lines.items()):
        colour, dash = COLOURS[number % len(COLOURS)], ' stroke-dasharray="6 4"' if "deep" in label else ""
        path_of = "L".join(f"{at_x(x):.1f} {at_y(y):.1f}" for x, y in line)
        parts.append(f'<path d="M{path_of}" fill="none" stroke="{colour}" stroke-width="2.5"{dash}/>')
        parts += [f'<circle cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="4" fill="{colour}"/>' for x, y in line]
        y = TOP + 14 + number * 22
        parts.append(f'<path d="M{WIDTH - RIGHT + 14} {y}h24" stroke="{colour}" stroke-width="2.5"{dash}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 44}" y="{y + 4}">{label}</text>')
    style = "text{font:13px sans-serif;fill:#777}.grid{stroke:#777;stroke-opacity:.3}"
    body = "\n".join(parts)
    with open(path, "w") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><style>{style}</style>\n{body}\n</svg>\n')
