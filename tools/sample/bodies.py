"""Bodies of the drawn pets: a cat or a dog as a list of ellipsoids in three dimensions.

Lengths are in head radii, x points right, y up, z towards the viewer. Only this module and the
face details of `pets` know the species: colours, light, places and poses never do.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Blob:
    """One ellipsoid: centre (3,), columns of `axes` (3, 3) are its directions, `radii` (3,)."""

    center: np.ndarray
    axes: np.ndarray
    radii: np.ndarray
    part: str
    frame: int = 0  # 0 = head, 1 = body: the coordinates in which the coat is patterned
    blend: float = 0.22  # how far it melts into its neighbours
    along: float = 0.0  # position along a chain: 0 at the root, 1 at the tip


@dataclass
class Pet:
    """Blobs in camera coordinates and the rotation and origin of the two frames."""

    blobs: list[Blob]
    rotations: list[np.ndarray]
    origins: list[np.ndarray]
    face: dict = field(default_factory=dict)
    ears: list[dict] = field(default_factory=list)
    collar: bool = False


def rotate(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Rotation (3, 3) from angles in degrees: roll first, then pitch, then yaw."""
    a, b, c = np.radians([yaw, pitch, roll])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    nod = np.array([[1, 0, 0], [0, np.cos(b), np.sin(b)], [0, -np.sin(b), np.cos(b)]])
    tilt = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return turn @ nod @ tilt


def _ball(center, radii, part="face", **more) -> Blob:
    return Blob(np.array(center, float), np.eye(3), np.array(radii, float), part, **more)


def _chain(points, widths, part, flat=1.0, normal=(0.0, 0.0, 1.0), **more) -> list[Blob]:
    """Ellipsoids strung along a polyline; `flat` is their thickness across `normal`."""
    points, widths = np.array(points, float), np.array(widths, float)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(3, int(distance[-1] / max(0.05, widths.mean() * 0.35)) + 1)
    blobs = []
    for along in np.linspace(0, 1, count):
        at = along * distance[-1]
        center = np.array([np.interp(at, distance, points[:, k]) for k in range(3)])
        ahead = np.array(
            [
                np.interp(min(at + 0.05, distance[-1]), distance, points[:, k])
                - np.interp(max(at - 0.05, 0), distance, points[:, k])
                for k in range(3)
            ]
        )
        ahead = ahead / (np.linalg.norm(ahead) + 1e-9)
        side = np.cross(ahead, normal)
        side = side / (np.linalg.norm(side) + 1e-9)
        width = np.interp(at, distance, widths)
        radii = np.array([width, max(width, 0.12), max(width * flat, 0.05)])
        blobs.append(
            Blob(
                center,
                np.stack([side, ahead, np.cross(side, ahead)], 1),
                radii,
                part,
                along=along,
                **more,
            )
        )
    return blobs


def _ears(kind: str, pet: Pet, draw, spread: float, size: float) -> None:
    """Two ears: `pointed`, `folded` (the tip falls forward), `hanging` or `round` (small fold)."""
    lean = draw(-0.12, 0.18)
    for side in (-1, 1):
        wobble = draw(-0.06, 0.06)
        root = np.array([side * spread, 0.66, -0.08])
        if kind == "pointed":
            tip = root + size * np.array([side * (0.28 + lean + wobble), 1.0, -0.05])
            path, widths, flat = [root, tip], [0.43 * size, 0.03], 0.3
        elif kind == "folded":
            knee = root + size * np.array([side * (0.22 + lean), 0.5, 0.0])
            tip = knee + size * np.array([side * (0.18 + wobble), -0.38, 0.4])
            path, widths, flat = [root, knee, tip], [0.4 * size, 0.32 * size, 0.06], 0.3
        elif kind == "round":
            tip = root + size * np.array([side * (0.22 + lean), 0.28, 0.3])
            path, widths, flat = [root, tip], [0.34 * size, 0.16], 0.4
        else:
            knee = root + size * np.array([side * (0.2 + 0.8 * lean), -0.06 + wobble, 0.04])
            tip = knee + size * np.array([side * (0.1 + wobble), -1.15, 0.12])
            path = [root, knee, (knee + tip) / 2, tip]
            widths, flat = [0.26 * size, 0.36 * size, 0.42 * size, 0.2 * size], 0.3
        facing = (
            np.array([side * 0.55, 0.0, 1.0])
            if kind == "hanging"
            else np.array([side * 0.25, 0.05, 1.0])
        )
        pet.blobs += _chain(path, widths, "ear", flat=flat, normal=facing, blend=0.06)
        pet.ears.append(
            {
                "root": root,
                "tip": np.array(tip),
                "width": widths[0],
                "kind": kind,
                "facing": facing / np.linalg.norm(facing),
            }
        )


def build_cat_head(pet: Pet, draw, choose) -> None:
    """Round skull, short muzzle of two pads, big slanted eyes."""
    wide, flat = draw(0.92, 1.1), draw(0.0, 1.0)
    out = 0.84 - 0.14 * flat
    pet.blobs += [
        _ball((0, 0, 0), (wide, 0.9, 0.86)),
        _ball((0, -0.1, 0.55), (0.26, 0.45, 0.3)),
        _ball((0, -0.55, out - 0.2), (0.24, 0.19, 0.24)),
        *[_ball((s * 0.48 * wide, -0.3, 0.2), (0.5, 0.44, 0.52)) for s in (-1, 1)],
        *[_ball((s * 0.19, -0.38, out - 0.06), (0.27, 0.21, 0.22)) for s in (-1, 1)],
    ]
    kind = choose(["pointed", "round", "folded"], [0.84, 0.1, 0.06])
    _ears(kind, pet, draw, draw(0.52, 0.66) * wide, draw(0.75, 1.15))
    pet.face = {
        "eye": (0.42 * wide, 0.06, 0.74),
        "eye_size": draw(0.21, 0.29),
        "slant": draw(5, 16),
        "open": draw(0.55, 0.95),
        "nose": (0, -0.22, out + 0.14),
        "nose_size": 0.13,
        "mouth": (0, -0.4, out + 0.16),
        "mouth_size": 0.2,
        "pads": (0.22, -0.4, out + 0.1),
        "muzzle": out + 0.1,
    }


def build_dog_head(pet: Pet, draw, choose) -> None:
    """Narrower skull, a muzzle that comes forward, a large nose, smaller round eyes."""
    wide, reach = draw(0.8, 0.98), draw(0.45, 1.25)
    thick, drop = draw(0.34, 0.48), draw(0.0, 0.14)
    low, end = -0.28 - drop, 0.42 + reach
    pet.blobs += [
        _ball((0, 0.08, 0), (wide, 0.86, 0.9)),
        *[_ball((s * 0.4 * wide, -0.25, 0.2), (0.46, 0.46, 0.5)) for s in (-1, 1)],
        *[_ball((s * 0.3, 0.36, 0.56), (0.26, 0.2, 0.26)) for s in (-1, 1)],
        *_chain(
            [(0, -0.1, 0.45), (0, low, end)],
            [thick * 1.15, thick * 0.82],
            "face",
            flat=0.85,
            normal=(0, 1, 0),
        ),
        *_chain(
            [(0, -0.5, 0.4), (0, low - 0.27, end - 0.12)],
            [0.36, thick * 0.6],
            "face",
            flat=0.7,
            normal=(0, 1, 0),
        ),
        *[
            _ball((s * thick * 0.48, low - 0.13, end - 0.12), (thick * 0.55, 0.26 + drop, 0.36))
            for s in (-1, 1)
        ],
        _ball((0, low + 0.17, end + thick * 0.55), (0.21, 0.16, 0.17), "nose", blend=0.03),
    ]
    kind = choose(["hanging", "pointed", "folded"], [0.62, 0.13, 0.25])
    _ears(kind, pet, draw, draw(0.6, 0.74) * wide, draw(0.75, 1.15))
    front = end + thick * 0.62
    pet.face = {
        "eye": (0.4 * wide, 0.17, 0.79),
        "eye_size": draw(0.16, 0.21),
        "slant": draw(-8, 8),
        "open": draw(0.75, 1.0),
        "nose": (0, low + 0.17, front + 0.06),
        "nose_size": 0.2,
        "mouth": (0, low - 0.12, front - 0.06),
        "mouth_size": 0.26,
        "pads": (0.26, low - 0.08, end + 0.1),
        "muzzle": end + 0.1,
    }
    if choose([True, False], [0.4, 0.6]):
        lip = np.array([0, low - 0.1, front - 0.3])
        tip = lip + (draw(-0.12, 0.12), -draw(0.42, 0.66), draw(0.12, 0.24))
        pet.blobs += _chain(
            [lip, lip + (0, -0.05, 0.24), tip], [0.17, 0.2, 0.15], "tongue", flat=0.3, blend=0.08
        )
        pet.face["groove"] = [lip + (0, -0.04, 0.3), tip * 0.85 + lip * 0.15 + (0, 0, 0.08)]


def build_body(species: str, pose: str, pet: Pet, draw) -> np.ndarray:
    """Add trunk, legs and tail in the body's frame; return where the head sits (3,)."""
    dog = species == "dogs"
    girth, legs = draw(0.88, 1.12), draw(0.85, 1.1) * (1.15 if dog else 0.95)
    more = {"frame": 1, "blend": 0.3}
    blobs = pet.blobs

    def leg(top, foot, width):
        blobs.extend(_chain([top, foot], [width, width * 0.72], "leg", frame=1, blend=0.15))
        blobs.append(
            _ball(
                np.add(foot, (0, -0.05, 0.14)),
                (width * 0.95, 0.18, width * 1.25),
                "paw",
                frame=1,
                blend=0.1,
            )
        )

    if pose == "sitting":
        blobs += [
            _ball((0, 0, 0), (0.86 * girth, 1.1, 0.78), "body", **more),
            _ball((0, -0.75, -0.65), (1.05 * girth, 1.0, 0.95), "body", **more),
        ]
        for s in (-1, 1):
            blobs.append(_ball((s * 0.78 * girth, -1.1, -0.3), (0.42, 0.72, 0.72), "body", **more))
            blobs.append(_ball((s * 0.88 * girth, -1.72, 0.25), (0.28, 0.2, 0.5), "paw", **more))
            leg((s * 0.42, -0.2, 0.5), (s * draw(0.3, 0.46), -1.7, 0.62), 0.3)
        neck, tail = np.array([0, 1.55 + 0.2 * dog, 0.45]), (0, -1.5, -1.4)
    elif pose == "lying":
        blobs += [
            _ball((0, 0, 0), (0.84 * girth, 0.8, 0.9), "body", **more),
            _ball((0, -0.08, -1.3), (0.86 * girth, 0.76, 1.2), "body", **more),
        ]
        for s in (-1, 1):
            blobs.append(_ball((s * 0.6, -0.25, -1.9), (0.48, 0.55, 0.75), "body", **more))
            leg((s * 0.48, -0.5, 0.4), (s * draw(0.35, 0.55), -0.68, 1.5 * legs), 0.27)
        neck, tail = np.array([0, 1.0 + 0.2 * dog, 0.75]), (0, -0.3, -2.5)
    else:
        blobs += [
            _ball((0, 0, 0), (0.74 * girth, 0.84, 0.85), "body", **more),
            _ball((0, 0.02, -1.2), (0.7 * girth, 0.7, 1.1), "body", **more),
            _ball((0, 0.02, -2.2), (0.7 * girth, 0.74, 0.7), "body", **more),
        ]
        for s in (-1, 1):
            leg((s * 0.4, -0.3, 0.2), (s * 0.4, -0.8 - legs, 0.25 + draw(-0.3, 0.3)), 0.27)
            leg((s * 0.42, -0.3, -2.2), (s * 0.42, -0.8 - legs, -2.3 + draw(-0.3, 0.3)), 0.32)
        neck, tail = np.array([0, 1.05 + 0.15 * dog, 0.85]), (0, 0.3, -2.8)
    curl, rise = draw(-1.6, 1.6), draw(-0.3, 1.6)
    bend = np.add(tail, (curl * 0.5, rise * 0.5, -0.6))
    tip = np.add(bend, (curl * 0.7, rise * 0.9, 0.1))
    blobs += _chain([tail, bend, tip], [0.22, 0.2, 0.13], "tail", frame=1, blend=0.1)
    blobs += _chain([(0, 0.35, 0.0), neck + (0, -0.2, -0.2)], [0.68, 0.6], "body", **more)
    return neck


def add_collar(pet: Pet, neck: np.ndarray, draw) -> None:
    """A band around the neck and a tag, in the body's frame."""
    center, width = neck * 0.55 + np.array([0, 0.02, 0.05]), draw(0.07, 0.11)
    for angle in np.linspace(0, 2 * np.pi, 72, endpoint=False):
        at = center + np.array([0.74 * np.sin(angle), -0.18 * np.cos(angle), 0.7 * np.cos(angle)])
        pet.blobs.append(_ball(at, (0.13, width, 0.13), "collar", frame=1, blend=0.05))
    pet.blobs.append(
        _ball(center + (0, -0.38, 0.74), (0.13, 0.15, 0.06), "tag", frame=1, blend=0.01)
    )


def place_pet(
    pet: Pet, head: np.ndarray, body: np.ndarray, neck: np.ndarray, shrink: float
) -> None:
    """Turn head and body into camera coordinates; the head's centre becomes the origin."""
    origin = -(body @ (neck * shrink))
    pet.rotations, pet.origins = [head, body], [np.zeros(3), origin]
    for blob in pet.blobs:
        scale = shrink if blob.frame else 1.0
        rotation = pet.rotations[blob.frame]
        blob.center = rotation @ (blob.center * scale) + pet.origins[blob.frame]
        blob.axes, blob.radii = rotation @ blob.axes, blob.radii * scale
