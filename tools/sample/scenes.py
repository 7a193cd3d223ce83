"""Places around the drawn pets: light, blurred backgrounds, and what stands in front of them."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

# sky or foliage, ground: the seasons of the outdoor places
SEASONS = {
    "spring": ((150, 178, 120), (118, 158, 66)),
    "summer": ((104, 132, 84), (128, 140, 62)),
    "autumn": ((176, 124, 66), (150, 104, 56)),
    "snow": ((188, 200, 214), (226, 230, 236)),
    "beach": ((150, 190, 208), (214, 192, 150)),
    "hills": ((156, 192, 224), (110, 142, 72)),
}


def choose_light(generator: np.random.Generator) -> dict:
    """Direction (3,) of the key light and the colours (3,) of key, sky, rim and fill light."""
    direction = np.array(
        [generator.uniform(-1, 1), generator.uniform(0.25, 0.95), generator.uniform(0.35, 0.9)]
    )
    warm = generator.uniform(-1, 1)
    tint = np.array([1 + 0.08 * warm, 1.0, 1 - 0.11 * warm])
    power = generator.uniform(0.78, 1.04)
    return {
        "direction": direction / np.sqrt((direction * direction).sum()),
        "key": 0.8 * power * tint,
        "sky": 0.3 * power / tint,
        "rim": generator.uniform(0.1, 0.7) * tint,
        "fill": 0.14 * power * np.ones(3),
        "tint": tint,
        "power": power,
    }


def draw_noise(generator: np.random.Generator, size: int, cells: tuple[int, int]) -> np.ndarray:
    """Smooth noise (size, size) in 0..1 with `cells` (down, across) bumps."""
    grid = Image.fromarray(generator.random(cells).astype(np.float32))
    return np.clip(np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC), float), 0, 1)


def _ink(colour) -> tuple[int, ...]:
    return tuple(int(c) for c in np.clip(colour, 0, 255))


def _cloth(generator, low=55, high=215, grey=0.62) -> np.ndarray:
    """A muted colour (3,) as walls and furniture have it."""
    colour = generator.uniform(low, high, 3)
    return colour + (colour.mean() - colour) * grey


def _wood(generator) -> np.ndarray:
    return np.array([168.0, 122, 82]) * generator.uniform(0.5, 1.25) + generator.uniform(-10, 10, 3)


def _gradient(size: int, top, bottom) -> Image.Image:
    t = np.linspace(0, 1, size)[:, None, None]
    field = np.broadcast_to(np.asarray(top) * (1 - t) + np.asarray(bottom) * t, (size, size, 3))
    return Image.fromarray(np.clip(field, 0, 255).astype(np.uint8))


def _draw_discs(generator, pen, size, colour, low, high, count, radius) -> None:
    """Discs of light, as a lens makes them from what lies far behind."""
    for _ in range(count):
        x, y = generator.uniform(0, size), generator.uniform(low, high)
        r = generator.uniform(0.4, 1.0) * radius
        pen.ellipse(
            (x - r, y - r, x + r, y + r),
            fill=_ink(colour + generator.uniform(-45, 75) + generator.uniform(-14, 14, 3)),
        )


def _draw_blades(generator, pen, size, colour, top, bottom, count, height) -> None:
    """Grass: strokes that grow towards the viewer, the near ones last."""
    for y in np.sort(generator.uniform(top, bottom, count)):
        near = (y - top) / (bottom - top + 1)
        x, lean = generator.uniform(0, size), generator.uniform(-0.5, 0.5)
        tall = height * (0.25 + 0.75 * near) * generator.uniform(0.5, 1.2)
        pen.line(
            (x, y, x + lean * tall * 0.4, y - tall * 0.6, x + lean * tall, y - tall),
            fill=_ink(colour * generator.uniform(0.62, 1.3) + generator.uniform(-10, 10, 3)),
            width=1 + int(near * size / 170),
        )


def _draw_outdoors(generator, size, edge, unit) -> Image.Image:
    season = str(generator.choice(list(SEASONS)))
    far, near = (np.array(c, float) + generator.uniform(-18, 18, 3) for c in SEASONS[season])
    image = _gradient(size, far * 1.08 + 8, far * 0.9)
    pen = ImageDraw.Draw(image)
    if season in ("beach", "hills"):
        for _ in range(5):
            x, y = generator.uniform(0, size), generator.uniform(0, edge * 0.7)
            for _ in range(9):
                a, b = generator.uniform(-0.13, 0.13) * size, generator.uniform(-0.02, 0.02) * size
                r = generator.uniform(0.02, 0.055) * size
                pen.ellipse(
                    (x + a - 1.5 * r, y + b - r, x + a + 1.5 * r, y + b + 0.6 * r),
                    fill=_ink(far + generator.uniform(22, 48)),
                )
        middle = np.array([84.0, 138, 160]) if season == "beach" else near * 0.72 + 18
        for k in range(2):
            x, rise = generator.uniform(0, size), generator.uniform(0.1, 0.3) * size
            wide, rise = (2 * size, 0.1 * size) if season == "beach" else (0.8 * size, rise)
            pen.ellipse(
                (x - wide, edge - rise, x + wide, edge + rise), fill=_ink(middle * (1 - 0.1 * k))
            )
    else:
        _draw_discs(generator, pen, size, far, 0, edge, 34, 0.09 * size)
        for _ in range(3 if generator.random() < 0.5 else 0):
            x, w = generator.uniform(0, size), generator.uniform(0.02, 0.06) * size
            pen.rectangle((x, 0, x + w, edge), fill=_ink(np.array([92.0, 74, 60])))
    pen.rectangle((0, edge, size, size), fill=_ink(near))
    image = image.filter(ImageFilter.GaussianBlur(size * generator.uniform(0.01, 0.022)))
    pen = ImageDraw.Draw(image)
    if season in ("spring", "summer", "hills", "autumn"):
        _draw_blades(generator, pen, size, near, edge - 2, size * 1.06, 900, 0.5 * unit)
    return image.filter(ImageFilter.GaussianBlur(size * generator.uniform(0.002, 0.006)))


def _draw_room(generator, size, edge, unit, sofa: bool) -> Image.Image:
    wall, floor = _cloth(generator, 90, 232), _wood(generator)
    if generator.random() < 0.35:
        floor = _cloth(generator)
    image = _gradient(size, wall * 1.06, wall * 0.94)
    pen = ImageDraw.Draw(image)
    for _ in range(int(generator.integers(1, 4))):
        x, y = generator.uniform(-0.1, 0.95) * size, generator.uniform(-0.1, 0.35) * size
        w, h = generator.uniform(0.14, 0.36, 2) * size
        thing = generator.random()
        frame = _ink(_wood(generator) if thing < 0.6 else np.array([236.0, 232, 226]))
        pen.rectangle((x, y, x + w, y + h), fill=frame)
        b = 0.018 * size
        pane = np.array([222.0, 232, 240]) if thing > 0.6 else _cloth(generator, grey=0.4)
        pen.rectangle((x + b, y + b, x + w - b, y + h - b), fill=_ink(pane))
        if thing > 0.6:
            pen.line((x + w / 2, y, x + w / 2, y + h), fill=frame, width=int(b))
    if generator.random() < 0.4:  # a plant in its pot
        x, pot = generator.uniform(0, size), 0.07 * size
        leaf = np.array([78.0, 112, 66]) * generator.uniform(0.7, 1.3)
        for _ in range(26):
            a, r = generator.uniform(0.1, 3.04), generator.uniform(0.1, 0.34) * size
            tip = (x + np.cos(a) * r, edge - pot * 1.6 - np.sin(a) * r)
            pen.line(
                (x, edge - pot * 1.6, *tip),
                width=int(0.022 * size),
                fill=_ink(leaf * generator.uniform(0.7, 1.35)),
            )
        pen.polygon(
            [
                (x - pot, edge - 1.8 * pot),
                (x + pot, edge - 1.8 * pot),
                (x + 0.7 * pot, edge + pot / 2),
                (x - 0.7 * pot, edge + pot / 2),
            ],
            fill=_ink(_cloth(generator, grey=0.3)),
        )
    pen.rectangle((0, edge - 0.025 * size, size, edge), fill=_ink(wall * 0.5 + 122))
    pen.rectangle((0, edge, size, size), fill=_ink(floor))
    rows = [edge + (size - edge) * k * k for k in np.linspace(0, 1, 6)]
    for k in range(-9, 10):
        x = size / 2 + k * size * 0.13
        pen.line(
            (x, edge, size / 2 + (x - size / 2) * 3, size * 1.1), width=2, fill=_ink(floor * 0.82)
        )
    for top in rows[1:]:
        pen.line((0, top, size, top), fill=_ink(floor * 0.87), width=1)
    if sofa:
        cloth, seat = _cloth(generator, 70, 225, 0.45), edge - 0.2 * unit
        back = seat - unit * generator.uniform(1.2, 2.4)
        split = generator.uniform(0.2, 0.8) * size
        for left, right in ((-size, split), (split, 2 * size)):
            pen.rounded_rectangle(
                (left + 2, back, right - 2, size), 0.4 * unit, fill=_ink(cloth * 0.86)
            )
        for _ in range(int(generator.integers(0, 3))):
            x, w = generator.uniform(0, size), generator.uniform(0.7, 1.3) * unit
            pen.rounded_rectangle(
                (x, seat - w * 0.9, x + w, seat + 4),
                0.2 * w,
                fill=_ink(_cloth(generator, grey=0.3)),
            )
        pen.rounded_rectangle((-size, seat, 2 * size, 2 * size), 0.25 * unit, fill=_ink(cloth))
    return image.filter(ImageFilter.GaussianBlur(size * generator.uniform(0.006, 0.016)))


def _draw_blanket(generator, size) -> Image.Image:
    """Knitted or checked cloth with soft folds."""
    one, two = _cloth(generator), _cloth(generator, 120, 235)
    y, x = np.mgrid[0:size, 0:size] / size
    slant = generator.uniform(-0.5, 0.5)
    bend = 0.06 * draw_noise(generator, size, (5, 5))
    a, b = x + slant * y + bend, y - slant * x + bend
    count = generator.uniform(5, 11)
    check = ((a * count) % 1 < 0.45) * 0.5 + ((b * count) % 1 < 0.45) * 0.5
    weave = 1 + 0.06 * np.sin(a * 190) * np.sin(b * 190)
    folds = 0.72 + 0.56 * draw_noise(generator, size, (4, 3))
    pixels = one + (two - one) * check[..., None] * generator.uniform(0.0, 0.9)
    pixels = np.clip(pixels * (weave * folds)[..., None], 0, 255).astype(np.uint8)
    return Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(size * 0.004))


def _draw_lights(generator, size) -> Image.Image:
    """Only lights far away, out of focus."""
    back = _cloth(generator, 30, 150, 0.5)
    image = _gradient(size, back * 1.15, back * 0.8)
    _draw_discs(generator, ImageDraw.Draw(image), size, back + 20, 0, size, 46, 0.1 * size)
    return image.filter(ImageFilter.GaussianBlur(size * generator.uniform(0.008, 0.02)))


def draw_place(
    generator: np.random.Generator, size: int, light: dict, horizon: float, unit: float
) -> np.ndarray:
    """A background (size, size, 3); `horizon` in 0..1 from the top, `unit` a head in pixels."""
    edge = int(horizon * size)
    place = str(
        generator.choice(
            ["outdoors", "room", "sofa", "blanket", "lights", "studio"],
            p=[0.34, 0.2, 0.2, 0.1, 0.08, 0.08],
        )
    )
    if place == "outdoors":
        image = _draw_outdoors(generator, size, edge, unit)
    elif place in ("room", "sofa"):
        image = _draw_room(generator, size, edge, unit, place == "sofa")
    elif place == "blanket":
        image = _draw_blanket(generator, size)
    elif place == "lights":
        image = _draw_lights(generator, size)
    else:
        cloth = _cloth(generator, 70, 225)
        image = _gradient(size, cloth * 0.85, cloth * 1.05)
    pixels = np.asarray(image, float)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    slope = x * light["direction"][0] - y * light["direction"][1] * 0.6
    pixels = pixels * (0.95 + 0.42 * slope + 0.1 * draw_noise(generator, size, (4, 4)))[..., None]
    return np.clip(pixels * (0.3 + 0.68 * light["power"]) * light["tint"], 0, 255)


def draw_front(generator: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Canvas (s, s, 3) with grass or an edge, out of focus, before the pet."""
    size = canvas.shape[0]
    layer = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    colour = _cloth(generator, 60, 200, 0.8)
    if generator.random() < 0.6:
        green = np.array([104.0, 134, 62]) + generator.uniform(-22, 22, 3)
        for _ in range(int(generator.integers(20, 70))):
            x, tall = generator.uniform(0, size), generator.uniform(0.06, 0.24) * size
            lean = generator.uniform(-0.4, 0.4) * tall
            pen.polygon(
                [(x - 5, size), (x + 5, size), (x + lean, size - tall)],
                fill=(*_ink(green * generator.uniform(0.6, 1.3)), 255),
            )
    else:
        tall = generator.uniform(0.05, 0.14) * size
        pen.rounded_rectangle(
            (-20, size - tall, size + 20, size + 40), 14, fill=(*_ink(colour), 255)
        )
    pixels = np.asarray(layer.filter(ImageFilter.GaussianBlur(size * 0.008)), float)
    alpha = pixels[..., 3:] / 255
    return canvas * (1 - alpha) + pixels[..., :3] * alpha
