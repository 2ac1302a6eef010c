"""Draws the icons of the extension and of its modules: 128 x 128, readable at 24.

    python Testing/data/draw_icons.py

One brain seen from above, on a rounded square; each module puts its own sign on it. Drawn eight times larger and
scaled down. A module's icon is written where its folder is.
"""

import math
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

REPOSITORY = Path(__file__).resolve().parents[2]
SIZE, SCALE = 128, 8
NIGHT, DEEP = (27, 42, 73), (14, 22, 40)
PALE, MIST = (236, 241, 247), (150, 168, 196)
AMBER, TEAL, CORAL = (255, 176, 46), (64, 196, 190), (255, 107, 94)
CENTER = (64.0, 64.0)
GAP, HALF_WIDTH, HALF_HEIGHT = 2.4, 39.0, 47.0

Point = tuple[float, float]
Painter = Callable[[Image.Image], None]


def border(side: int, degrees: float, reach: float = 1.0) -> Point:
    """A point of one half of the brain, 0 = outermost, 90 = front; side -1 is on the left of the picture.

    The border swells between furrows, which lie at +-18 and +-54 degrees.
    """
    angle = math.radians(degrees)
    reach *= 1 + 0.07 * abs(math.cos(5 * angle)) ** 0.7
    x = GAP + (HALF_WIDTH - 3 * math.sin(angle)) * reach * math.cos(angle)
    return CENTER[0] + side * x, CENTER[1] - HALF_HEIGHT * reach * math.sin(angle)


def hemisphere(side: int) -> list[Point]:
    """Outline of one half of the brain."""
    return [border(side, degrees) for degrees in range(-90, 91)]


def sulci(side: int) -> list[list[Point]]:
    """The furrows of one half, from its border inward."""
    return [
        [border(side, start + bend * step / 20, 1.03 - depth * step / 20) for step in range(21)]
        for start, bend, depth in ((53, 12, 0.3), (18, -10, 0.5), (-18, 14, 0.42), (-53, 6, 0.36))
    ]


def canvas() -> Image.Image:
    """The rounded square, lighter at the top."""
    large = SIZE * SCALE
    shade = Image.linear_gradient("L").resize((large, large))
    plate = Image.composite(Image.new("RGB", (large, large), DEEP), Image.new("RGB", (large, large), NIGHT), shade)
    mask = Image.new("L", (large, large), 0)
    ImageDraw.Draw(mask).rounded_rectangle(_scaled([(2, 2), (126, 126)]), radius=26 * SCALE, fill=255)
    image = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    image.paste(plate, mask=mask)
    return image


def brain(image: Image.Image, left: tuple[int, int, int], right: tuple[int, int, int]) -> None:
    draw = ImageDraw.Draw(image)
    for side, color in ((-1, left), (1, right)):
        draw.polygon(_scaled(hemisphere(side)), fill=color)
        for line in sulci(side):
            draw.line(_scaled(line), fill=NIGHT, width=int(3.8 * SCALE), joint="curve")
            _dot(draw, line[-1], 1.9, NIGHT)


def glow(image: Image.Image, place: Point, radius: float, color: tuple[int, int, int]) -> None:
    """A spot with light around it."""
    halo = Image.new("RGBA", image.size, (*color, 0))
    _dot(ImageDraw.Draw(halo), place, radius * 1.5, (*color, 200))
    image.alpha_composite(halo.filter(ImageFilter.GaussianBlur(4 * SCALE)))
    draw = ImageDraw.Draw(image)
    _dot(draw, place, radius, color)
    _dot(draw, (place[0] - radius * 0.25, place[1] - radius * 0.25), radius * 0.35, (255, 244, 214))


def neurogen(image: Image.Image) -> None:
    """Scan on one side, its healthy counterpart on the other."""
    brain(image, PALE, TEAL)
    glow(image, (45, 50), 11, AMBER)


def detection(image: Image.Image) -> None:
    """What differs, in a ring."""
    brain(image, PALE, PALE)
    place = (83, 50)
    draw = ImageDraw.Draw(image)
    _dot(draw, place, 25, NIGHT)
    _dot(draw, place, 22, CORAL)
    _dot(draw, place, 16.5, PALE)
    glow(image, place, 9.5, CORAL)


def harmonization(image: Image.Image) -> None:
    """Two scanners' grays, brought to one by an arrow each way."""
    brain(image, MIST, PALE)
    draw = ImageDraw.Draw(image)
    for y, direction, color in ((50, 1, AMBER), (79, -1, TEAL)):
        tail, head = (64 - 27 * direction, y), (64 + 14 * direction, y)
        draw.line(_scaled([tail, head]), fill=NIGHT, width=17 * SCALE)
        _arrow_head(draw, (head[0] + 22 * direction, y), direction, 18, NIGHT)
        draw.line(_scaled([tail, head]), fill=color, width=9 * SCALE)
        _arrow_head(draw, (head[0] + 17 * direction, y), direction, 13, color)


def age(image: Image.Image) -> None:
    """Growth: a curve that rises across the brain, with the scan on it."""
    brain(image, PALE, PALE)
    draw = ImageDraw.Draw(image)
    curve = [(20 + step / 4, 103 - 84 * (1 - math.exp(-step / 150))) for step in range(353)]
    for width, color in ((17, NIGHT), (9, TEAL)):
        for place in curve:
            _dot(draw, place, width / 2, color)
    _dot(draw, curve[150], 14.5, NIGHT)
    glow(image, curve[150], 10.5, AMBER)


ICONS: dict[str, Painter] = {
    "NeuroGen": neurogen,
    "NeuroGenAD": detection,
    "NeuroGenHarmonize": harmonization,
    "NeonatalBrainAge": age,
}


def icon(name: str) -> Image.Image:
    image = canvas()
    ICONS[name](image)
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def _arrow_head(draw: ImageDraw.ImageDraw, tip: Point, direction: int, half: float, color) -> None:
    back = tip[0] - direction * half * 1.3
    draw.polygon(_scaled([tip, (back, tip[1] - half), (back, tip[1] + half)]), fill=color)


def _dot(draw: ImageDraw.ImageDraw, place: Point, radius: float, color) -> None:
    draw.ellipse(_circle(place, radius), fill=color)


def _circle(place: Point, radius: float) -> list[Point]:
    return _scaled([(place[0] - radius, place[1] - radius), (place[0] + radius, place[1] + radius)])


def _scaled(points: list[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def main() -> None:
    for name in ICONS:
        folder = REPOSITORY if name == "NeuroGen" else REPOSITORY / name
        if folder.is_dir():
            path = folder / "Resources" / "Icons" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            icon(name).save(path, optimize=True)


if __name__ == "__main__":
    main()
