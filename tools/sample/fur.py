"""Surfaces of the drawn pets: depth and normals of ellipsoids, coats, light, and single hairs."""

from __future__ import annotations

import numpy as np

FAR = -1e6
TONES = {
    "black": (40, 37, 38),
    "charcoal": (82, 79, 82),
    "blue": (122, 126, 136),
    "silver": (178, 176, 173),
    "chocolate": (96, 64, 45),
    "red": (190, 110, 58),
    "golden": (212, 164, 104),
    "cream": (234, 215, 184),
    "white": (243, 239, 232),
    "fawn": (202, 167, 128),
    "sable": (132, 97, 68),
    "cinnamon": (164, 108, 74),
}
MARKINGS = ["solid", "tabby", "spots", "patches", "mask", "tan", "tortie", "saddle"]
MARKING_SHARES = [0.2, 0.17, 0.09, 0.18, 0.1, 0.1, 0.08, 0.08]


def render_blobs(blobs, size: int, scale: float, origin: tuple[float, float]):
    """Depth (size, size), normals (size, size, 3) and owner index (-1 = none), seen along -z."""
    depth = np.full((size, size), FAR)
    normals = np.zeros((size, size, 3))
    owner = np.full((size, size), -1)
    for index, blob in enumerate(blobs):
        spread = (blob.axes * blob.radii) @ (blob.axes * blob.radii).T
        shape = (blob.axes / blob.radii) @ (blob.axes / blob.radii).T
        half = scale * np.sqrt(np.diag(spread))
        column, row = origin[0] + scale * blob.center[0], origin[1] - scale * blob.center[1]
        left, right = int(max(column - half[0], 0)), int(min(column + half[0] + 2, size))
        top, bottom = int(max(row - half[1], 0)), int(min(row + half[1] + 2, size))
        if left >= right or top >= bottom:
            continue
        x = ((np.arange(left, right) + 0.5 - column) / scale)[None, :]
        y = ((row - np.arange(top, bottom) - 0.5) / scale)[:, None]
        linear = shape[0, 2] * x + shape[1, 2] * y
        rest = shape[0, 0] * x * x + 2 * shape[0, 1] * x * y + shape[1, 1] * y * y - 1
        inside = linear * linear - shape[2, 2] * rest
        hit = inside > 0
        z = (np.sqrt(np.where(hit, inside, 0)) - linear) / shape[2, 2]
        normal = np.stack(
            [shape[0, k] * x + shape[1, k] * y + shape[2, k] * z for k in range(3)], -1
        )
        normal /= np.sqrt((normal * normal).sum(-1, keepdims=True)) + 1e-9
        window = (slice(top, bottom), slice(left, right))
        ahead = np.clip(0.5 + 0.5 * (z + blob.center[2] - depth[window]) / blob.blend, 0, 1) * hit
        mixed = np.where(
            ahead > 0,
            depth[window] * (1 - ahead)
            + (z + blob.center[2]) * ahead
            + blob.blend * ahead * (1 - ahead),
            depth[window],
        )
        depth[window] = mixed
        normals[window] = normals[window] * (1 - ahead[..., None]) + normal * ahead[..., None]
        owner[window] = np.where(ahead > 0.5, index, owner[window])
    normals /= np.sqrt((normals * normals).sum(-1, keepdims=True)) + 1e-9
    return depth, normals, owner


def solid_noise(lattice: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Smooth noise in -1..1 at points (n, 3): trilinear in a periodic lattice (16, 16, 16)."""
    cell = np.floor(points)
    t = points - cell
    t = t * t * (3 - 2 * t)
    low = cell.astype(int) & 15
    high = (low + 1) & 15
    total = np.zeros(len(points))
    for corner in range(8):
        at = [high[:, k] if corner >> k & 1 else low[:, k] for k in range(3)]
        weight = np.ones(len(points))
        for k in range(3):
            weight = weight * (t[:, k] if corner >> k & 1 else 1 - t[:, k])
        total += weight * lattice[at[0], at[1], at[2]]
    return total


def _ramp(value, low, high):
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def choose_coat(generator: np.random.Generator) -> dict:
    """Tones and markings of one coat; the species has no say in it."""
    names = list(TONES)
    tones = np.array([TONES[n] for n in generator.permutation(names)[:3]], float)
    tones += generator.uniform(-12, 12, (3, 1)) + generator.uniform(-5, 5, (3, 3))
    order = np.argsort(tones.sum(1))
    kind = generator.choice(MARKINGS, p=MARKING_SHARES)
    swap = generator.random() < 0.5
    return {
        "kind": str(kind),
        "dark": tones[order[0]],
        "main": tones[order[1 if swap else 2]],
        "light": tones[order[2]],
        "white": generator.random() < 0.38,
        "blaze": generator.uniform(0.03, 0.2),
        "lattice": generator.uniform(-1, 1, (16, 16, 16)),
        "shift": generator.uniform(0, 16, 3),
        "frequency": generator.uniform(5.5, 9.5),
        "amount": generator.uniform(-0.15, 0.2),
        "ticking": generator.uniform(0.02, 0.1),
        "length": generator.uniform(0.1, 0.34),
    }


def paint_coat(coat: dict, points: np.ndarray, parts: np.ndarray, muzzle: float) -> np.ndarray:
    """Fur colour (n, 3) at points (n, 3) given in their own frame; `parts` (n,) are part names."""
    x, y, z = points.T
    coarse = solid_noise(coat["lattice"], points * 0.9 + coat["shift"])
    fine = solid_noise(coat["lattice"], points * 3.1 + coat["shift"])
    tiny = solid_noise(coat["lattice"], points * 9.0)
    head = np.isin(parts, ["face", "ear", "nose"])
    snout = head & (parts != "ear")
    to_muzzle = np.sqrt(x * x + (y + 0.3) ** 2 + (z - muzzle) ** 2 * 0.6)
    limb = np.isin(parts, ["leg", "paw", "tail"])
    dark = np.zeros(len(points))
    kind = coat["kind"]
    if kind == "tabby":
        face = np.where(y > 0.25, x * 1.25, y * 0.9 + np.abs(x) * 0.55)
        wave = np.where(head, face, np.where(limb, y * 0.9, z + 0.25 * y))
        lines = np.sin(coat["frequency"] * wave * 1.25 + 1.6 * coarse + 0.7 * fine)
        dark = _ramp(lines + 0.5 * fine, 0.05, 0.6) * 0.85 * ~(snout & (to_muzzle < 0.4))
    elif kind == "spots":
        dark = _ramp(solid_noise(coat["lattice"], points * 2.6 + coat["shift"]), 0.22, 0.34)
    elif kind == "patches":
        dark = _ramp(coarse + 0.2 * fine, coat["amount"], coat["amount"] + 0.08)
    elif kind == "mask":
        dark = np.where(parts == "ear", 0.9, snout * _ramp(-to_muzzle + 0.15 * fine, -0.75, -0.35))
        dark = np.maximum(dark, limb * _ramp(-y + 0.3 * fine, 0.6, 1.4) * 0.8)
    elif kind == "tan":
        dark = np.where(snout, _ramp(to_muzzle + 0.12 * fine, 0.55, 0.75), 1.0)
        brow = (np.abs(np.abs(x) - 0.32) < 0.14) & (np.abs(y - 0.45) < 0.11) & (z > 0)
        dark = np.where(head & brow, 0.1, dark) * ~np.isin(parts, ["leg", "paw"])
    elif kind == "tortie":
        dark = _ramp(0.6 * coarse + 0.6 * fine + 0.3 * tiny, -0.1, 0.12)
    elif kind == "saddle":
        dark = np.where(head, _ramp(y + 0.25 * fine, 0.1, 0.5), _ramp(y + 0.3 * fine, -0.3, 0.2))
    colour = coat["main"] + (coat["dark"] - coat["main"]) * dark[:, None]
    if coat["white"]:
        blaze = _ramp(coat["blaze"] - np.abs(x) + 0.06 * fine, -0.03, 0.03)
        bib = np.where(
            snout,
            np.maximum(_ramp(0.15 * fine - to_muzzle, -0.72, -0.55), blaze),
            _ramp(z - 0.6 * np.abs(x) + 0.2 * fine - 0.25 * y, 0.5, 0.7),
        )
        bib = np.where(parts == "ear", 0, np.where(parts == "paw", 1.0, bib))
        colour = colour + (np.array([240.0, 236, 229]) - colour) * bib[:, None]
    belly = np.where(head, _ramp(-y, 0.3, 0.75), _ramp(-y, 0.3, 1.3)) * 0.22
    colour = colour + (coat["light"] - colour) * belly[:, None]
    return colour * (1 + coat["ticking"] * tiny + 0.06 * fine)[:, None]


def shade(normals: np.ndarray, light: dict, hollow: np.ndarray) -> np.ndarray:
    """Light (…, 3) that falls on normals (…, 3): a soft key, the sky, a rim, less in hollows."""
    toward = (normals * light["direction"]).sum(-1)
    wrap = np.clip((toward + 0.45) / 1.45, 0, 1)
    rim = np.clip(1 - normals[..., 2], 0, 1) ** 3 * np.clip(normals[..., 1] * 0.5 + 0.6, 0, 1)
    sky = 0.5 + 0.5 * normals[..., 1]
    total = (
        wrap[..., None] * light["key"]
        + sky[..., None] * light["sky"]
        + rim[..., None] * light["rim"]
        + light["fill"]
    )
    return total * (1 - hollow)[..., None]


def blur_field(field: np.ndarray, radius: int) -> np.ndarray:
    """Two box blurs of a field (s, s), by running sums."""
    width = 2 * radius + 1
    for axis in (0, 1, 0, 1):
        padding = [(radius + 1, radius) if k == axis else (0, 0) for k in (0, 1)]
        total = np.cumsum(np.pad(field, padding, mode="edge"), axis=axis)
        here = np.arange(width, total.shape[axis])
        field = (np.take(total, here, axis) - np.take(total, here - width, axis)) / width
    return field


def paint_inner_ears(colour: np.ndarray, pet, local, surface, parts) -> None:
    """Tint the hollow front of upright ears in colour (n, 3); other arrays as in `draw_pet`."""
    for ear in pet.ears:
        if ear["kind"] == "hanging":
            continue
        axis = ear["tip"] - ear["root"]
        length = np.sqrt((axis * axis).sum())
        axis = axis / length
        offset = local - ear["root"]
        along = offset @ axis / length
        aside = np.abs(offset @ np.cross(axis, ear["facing"])) / ear["width"]
        front = (surface @ pet.rotations[0]) @ ear["facing"] > 0.35
        same = np.sign(local[:, 0]) == np.sign(ear["root"][0])
        inner = (parts == "ear") & front & same & (along > 0.05)
        weight = np.clip((0.72 * (1 - along) - aside) / 0.25, 0, 0.75) * inner
        colour += (np.array([186.0, 135, 124]) - colour) * weight[:, None]


def grow_hairs(
    canvas: np.ndarray, pet, depth: np.ndarray, length: float, generator, roots: dict
) -> None:
    """Comb hairs away from the nose and down the body, and paint them into canvas (2s, 2s, 3).

    `roots` holds arrays with n rows, one for each hair; `length` is in pixels of the canvas.
    """
    count, head = len(roots["depth"]), roots["frame"] == 0
    nose = np.array(pet.face["nose"])
    away = roots["local"] - np.where(head[:, None], nose * (1, 1, 0.8), np.array([0, 1.5, 1.5]))
    away = away / (np.sqrt((away * away).sum(1, keepdims=True)) + 1e-9)
    away[:, 1] -= np.where(head, 0.15, 0.6)
    toward = np.where(head[:, None], away @ pet.rotations[0].T, away @ pet.rotations[1].T)
    lift = (toward * roots["normal"]).sum(1, keepdims=True) - 0.35
    flow = (toward - roots["normal"] * lift)[:, :2] * (1, -1)
    flow = flow + generator.uniform(-0.22, 0.22, (count, 2))
    start = roots["pixel"] * 2.0 + generator.uniform(0, 2, (count, 2))
    distance = np.sqrt(((roots["local"] - nose) ** 2).sum(1))
    reach = length * np.where(head, np.clip(distance * 0.8, 0.3, 1), 1.1)
    reach = reach * generator.uniform(0.6, 1.2, count)
    reach = reach * np.where(np.isin(roots["part"], ["ear", "paw"]), 0.55, 1)
    _draw_hairs(canvas, start, flow, reach, roots["colour"], roots["depth"], depth, generator)


def _draw_hairs(canvas, roots, flow, length, colour, depth_at, depth, generator) -> None:
    """Paint hairs: roots and flow (n, 2) in pixels of the canvas, far ones first."""
    size, half = canvas.shape[0], depth.shape[0]
    order = np.argsort(depth_at, kind="stable")
    roots, flow, length, colour, depth_at = (
        a[order] for a in (roots, flow, length, colour, depth_at)
    )
    count, steps = len(roots), 14
    bend = generator.uniform(-0.35, 0.35, (count, 1)) * flow[:, ::-1] * (1.0, -1.0)
    tone = generator.uniform(0.84, 1.14, (count, 1))
    t = np.linspace(0, 1, steps)[None, :, None]
    path = roots[:, None] + length[:, None, None] * (flow[:, None] * t + bend[:, None] * t * t)
    ink = (colour * tone)[:, None] * (0.9 + 0.2 * t)
    column, row = np.floor(path[..., 0]).astype(int), np.floor(path[..., 1]).astype(int)
    seen = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    column, row = np.clip(column, 0, size - 1), np.clip(row, 0, size - 1)
    ratio = size // half
    seen &= depth[row // ratio, column // ratio] < depth_at[:, None] + 0.16
    canvas[row[seen], column[seen]] = ink[seen]
