"""Faces of the drawn pets: eyes, noses, mouths and whiskers, laid onto the rendered head."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

IRISES = {
    "amber": (206, 140, 48),
    "hazel": (150, 120, 62),
    "brown": (118, 78, 42),
    "green": (140, 160, 78),
    "blue": (120, 160, 196),
}
IRIS_SHARES = [0.3, 0.2, 0.25, 0.15, 0.1]


def _soft(value, width):
    t = np.clip(value / width * 0.5 + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def _plane(view: dict, center, right, up, radius: float):
    """Window of the canvas on a plane of the head, u and v in it (in radii), how visible it is."""
    scale, size = view["scale"], view["canvas"].shape[0]
    turn = view["head"]
    at, a, b = turn @ np.array(center), turn @ np.array(right), turn @ np.array(up)
    column, row = view["origin"][0] + scale * at[0], view["origin"][1] - scale * at[1]
    reach = int(1.7 * radius * scale) + 2
    left, right_, top, bottom = (
        int(np.clip(v, 0, size)) for v in (column - reach, column + reach, row - reach, row + reach)
    )
    determinant = a[0] * b[1] - a[1] * b[0]
    if left >= right_ or top >= bottom or determinant < 0.12:
        return None
    x = ((np.arange(left, right_) + 0.5 - column) / scale / radius)[None, :]
    y = ((row - np.arange(top, bottom) - 0.5) / scale / radius)[:, None]
    u, v = (x * b[1] - y * b[0]) / determinant, (y * a[0] - x * a[1]) / determinant
    ratio = size // view["depth"].shape[0]
    down, across = np.arange(top, bottom) // ratio, np.arange(left, right_) // ratio
    depth = view["depth"][down[:, None], across]
    surface = at[2] + radius * (u * a[2] + v * b[2])
    return (slice(top, bottom), slice(left, right_)), u, v, _soft(surface + 0.3 - depth, 0.1)


def _lay(view, window, colour, alpha):
    part = view["canvas"][window]
    view["canvas"][window] = part + (colour - part) * np.clip(alpha, 0, 1)[..., None]


def draw_eyes(view: dict, face: dict, generator, slit: bool) -> None:
    """Two almond eyes with iris, pupil, lid shadow and highlight."""
    iris = np.array(IRISES[str(generator.choice(list(IRISES), p=IRIS_SHARES))], float)
    iris = iris + generator.uniform(-18, 18, 3)
    gaze, pupil = generator.uniform(-0.16, 0.16, 2), generator.uniform(0.3, 0.62)
    rim = np.array([30.0, 24, 22]) + generator.uniform(0, 25)
    open_, sleepy = face["open"], generator.random() < 0.06
    light = view["light"]["direction"]
    brightness = 0.55 + 0.45 * view["light"]["power"]
    for side in (-1, 1):
        x, y, z = face["eye"]
        outward = np.array([side * 0.42, 0.06, 1.0])
        outward = outward / np.sqrt((outward**2).sum())
        tilt = np.radians(face["slant"]) * side
        right = np.array([np.cos(tilt), np.sin(tilt), -side * 0.42 * np.cos(tilt)])
        right = right / np.sqrt((right**2).sum())
        up = np.cross(outward, right)
        plane = _plane(view, (side * x, y, z), right, up, face["eye_size"])
        if plane is None:
            continue
        window, u, v, seen = plane
        top, bottom = open_ * (1 - u * u), -open_ * 0.82 * (1 - u * u)
        if sleepy:
            line = _soft(0.13 - np.abs(v + 0.25 * (1 - u * u)), 0.1) * (np.abs(u) < 1)
            _lay(view, window, rim, line * seen)
            continue
        inside = np.minimum(top - v, v - bottom)
        _lay(view, window, rim, _soft(inside + 0.17, 0.16) * seen)
        du, dv = u - gaze[0], v - gaze[1] * 0.5
        r = np.sqrt(du * du + dv * dv)
        ray = 0.9 + 0.1 * np.sin(11 * np.arctan2(dv, du) + 3 * iris[0])
        glow = 0.62 + 0.55 * _soft(r - 0.35, 0.5) - 0.3 * dv
        white = np.array([205.0, 196, 188])
        colour = np.where(r[..., None] < 0.82, iris * (glow * ray)[..., None], white)
        ring = 0.35 + 0.65 * _soft(0.8 - r, 0.14) + 0.4 * _soft(r - 0.88, 0.1)
        colour = colour * ring[..., None]
        across = du / (0.42 if slit else 1.0)
        hole = np.sqrt(across * across + dv * dv * (0.55 if slit else 1.0))
        colour = colour * (1 - 0.94 * _soft(pupil - hole, 0.08))[..., None]
        colour = colour * (1 - 0.55 * _soft(v - top + 0.3, 0.35))[..., None]
        _lay(view, window, np.clip(colour * brightness, 0, 255), _soft(inside, 0.1) * seen)
        spot = np.sqrt((u - 0.3 * light[0] - 0.1) ** 2 + (v - 0.33) ** 2)
        _lay(view, window, 252.0, _soft(0.17 - spot, 0.09) * _soft(inside, 0.1) * seen)
        faint = np.sqrt((u + 0.25) ** 2 + (v + 0.3) ** 2)
        _lay(view, window, 225.0, 0.45 * _soft(0.14 - faint, 0.1) * _soft(inside, 0.1) * seen)


def draw_nose(view: dict, face: dict, colour: np.ndarray, kind: str) -> None:
    """A small rounded triangle (`small`) or nostrils and a gleam on a nose already rendered."""
    size = face["nose_size"]
    plane = _plane(view, face["nose"], (1, 0, 0), (0, 0.94, -0.34), size)
    if plane is None:
        return
    window, u, v, seen = plane
    if kind == "small":
        edge = np.minimum(np.minimum(0.62 - v, v + 1.0), 0.66 + 0.55 * v - np.abs(u)) + 0.12
        _lay(view, window, colour * (1.0 + 0.2 * v)[..., None] * 0.95, _soft(edge, 0.2) * seen)
        hole = np.sqrt(((np.abs(u) - 0.5) / 1.1) ** 2 + (v + 0.02) ** 2)
        _lay(view, window, colour * 0.3, 0.8 * _soft(0.2 - hole, 0.16) * seen)
    else:
        hole = np.sqrt((np.abs(u) - 0.46) ** 2 + ((v + 0.12) * 1.3) ** 2)
        _lay(view, window, colour * 0.2, 0.9 * _soft(0.24 - hole, 0.14) * seen)
    gleam = np.sqrt((u - 0.2 * view["light"]["direction"][0]) ** 2 + ((v - 0.42) * 2.2) ** 2)
    _lay(view, window, 240.0, 0.4 * _soft(0.3 - gleam, 0.28) * seen)


def _curve(pen, view, points, fill, width, hide=True):
    scale, size = view["scale"], view["canvas"].shape[0]
    ratio = size // view["depth"].shape[0]
    spots = []
    for point in points:
        at = view["head"] @ np.array(point)
        column, row = view["origin"][0] + scale * at[0], view["origin"][1] - scale * at[1]
        inside = 0 <= column < size and 0 <= row < size
        if hide and inside:
            inside = view["depth"][int(row) // ratio, int(column) // ratio] <= at[2] + 0.16
        spots.append((column, row, inside))
    for one, two in zip(spots, spots[1:], strict=False):
        if one[2] and two[2]:
            pen.line((one[0], one[1], two[0], two[1]), fill=fill, width=width)


def draw_mouth_and_whiskers(view: dict, face: dict, generator, whiskers: float) -> None:
    """The line under the nose, the smile, and whiskers of the given length (0 = none)."""
    layer = Image.new("RGBA", view["canvas"].shape[:2], (0, 0, 0, 0))
    pen = ImageDraw.Draw(layer)
    x0, y0, z0 = face["mouth"]
    m, smile = face["mouth_size"], generator.uniform(0.2, 0.7)
    width = max(1, int(view["scale"] * 0.028))
    ink = (38, 26, 24, 215)
    _, nose_y, nose_z = face["nose"]
    philtrum = [(0, nose_y - face["nose_size"] * 0.8, nose_z), (0, y0, z0 + 0.04)]
    _curve(pen, view, philtrum, ink, width)
    if "groove" in face:
        _curve(pen, view, face["groove"], (150, 62, 70, 170), width)
    for side in (-1, 1):
        arc = [
            (
                side * m * 1.25 * t,
                y0 - m * smile * np.sin(np.pi * t) * 0.9 + 0.1 * m * t,
                z0 - 0.75 * m * t * t,
            )
            for t in np.linspace(0, 1, 9)
        ]
        _curve(pen, view, arc, ink, width)
        if not whiskers:
            continue
        px, py, pz = face["pads"]
        pale = generator.random() < 0.5 or view["bright"] < 150
        tone = (250, 248, 242, 205) if pale else (60, 52, 48, 170)
        for k in range(int(generator.integers(4, 7))):
            fan = (k - 2.3) * 0.13 + generator.uniform(-0.05, 0.05)
            reach = whiskers * generator.uniform(0.8, 1.1)
            sag = generator.uniform(0.0, 0.2)
            line = [
                (
                    side * (px + reach * t),
                    py + 0.07 * (k % 3) - 0.05 + reach * t * (fan - sag * t),
                    pz + 0.04 + 0.25 * t * (1 - t),
                )
                for t in np.linspace(0, 1, 10)
            ]
            _curve(pen, view, line, tone, 1 if view["scale"] < 130 else 2, hide=False)
    pixels = np.asarray(layer, float)
    alpha = pixels[..., 3:] / 255
    view["canvas"][:] = view["canvas"] * (1 - alpha) + pixels[..., :3] * alpha
