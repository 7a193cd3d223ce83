"""Draws the course's sample dataset: cats and dogs made of ellipsoids, light and single hairs.

Only shape tells the classes apart: coats, colours, places, light, poses, sizes and accessories
come from the same distributions for both. Every drawing has its own generator, seeded by
(seed, part, class, index), so it depends neither on the order nor on the number of processes.
The pixels are deterministic. The archive's bytes are the same wherever Pillow, its libjpeg, NumPy
and zlib are: other versions may code the same pixels differently, and the archive names its own.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

from tools.sample.bodies import (
    Pet,
    add_collar,
    build_body,
    build_cat_head,
    build_dog_head,
    place_pet,
    rotate,
)
from tools.sample.faces import draw_eyes, draw_mouth_and_whiskers, draw_nose
from tools.sample.fur import (
    FAR,
    blur_field,
    choose_coat,
    grow_hairs,
    paint_coat,
    paint_inner_ears,
    render_blobs,
    shade,
)
from tools.sample.scenes import choose_light, draw_front, draw_place
from utils.settings import ROOT, CourseError

SEED = 20
QUALITY = 80
ARCHIVE = ROOT / "data" / "dogscats-sample.tgz"
PARTS = ("train", "valid")
SPECIES = ("cats", "dogs")
SHOTS = {"close": 0.5, "half": 0.3, "sitting": 0.08, "lying": 0.06, "standing": 0.06}
NOSES = np.array([[58.0, 48, 48], [150, 92, 86], [214, 150, 146], [40, 36, 38]])
BARE = ("nose", "tongue", "collar", "tag")


def draw_pet(
    species: str, generator: np.random.Generator, size: int = 256
) -> tuple[Image.Image, bool]:
    """One drawing (size × size, RGB) of `cats` or `dogs`, and whether the pet wears a collar.

    Raises CourseError for any other species.
    """
    if species not in SPECIES:
        raise CourseError(f"There is no drawing of {species!r}: ask for 'cats' or 'dogs'.")
    pet, unit, origin, foot = _pose(species, generator, size)
    coat, light = choose_coat(generator), choose_light(generator)
    depth, normals, owner = render_blobs(pet.blobs, size, unit, origin)
    mask = owner >= 0
    scene = _draw_scene(generator, light, mask, unit, foot)

    rows, columns = np.nonzero(mask)
    camera = np.stack(
        [(columns + 0.5 - origin[0]) / unit, (origin[1] - rows - 0.5) / unit, depth[rows, columns]],
        1,
    )
    parts = np.array([b.part for b in pet.blobs])[owner[rows, columns]]
    frames = np.array([b.frame for b in pet.blobs])[owner[rows, columns]]
    local = np.where(
        (frames == 0)[:, None],
        (camera - pet.origins[0]) @ pet.rotations[0],
        (camera - pet.origins[1]) @ pet.rotations[1],
    )
    surface = normals[rows, columns]
    colour = paint_coat(coat, local, parts, pet.face["muzzle"])
    paint_inner_ears(colour, pet, local, surface, parts)
    skin = NOSES[generator.choice(4, p=[0.4, 0.12, 0.18, 0.3])]
    paints = (skin, (222, 122, 128), generator.uniform(40, 220, 3), (224, 186, 92))
    for part, paint in zip(BARE, paints, strict=True):
        colour[parts == part] = paint

    solid = np.where(mask, depth, depth[mask].min() - 0.5)
    hollow = np.clip((blur_field(solid, max(2, int(unit * 0.16))) - solid) * 0.9, 0, 0.5)
    colour = np.clip(colour * shade(surface, light, hollow[rows, columns]), 0, 255)
    scene[rows, columns] = colour
    canvas = np.asarray(
        Image.fromarray(scene.astype(np.uint8)).resize(
            (2 * size, 2 * size), Image.Resampling.BICUBIC
        ),
        float,
    ).copy()

    depth = np.where(mask, depth, FAR)
    furry = np.nonzero(~np.isin(parts, BARE))[0]
    picked = furry[generator.integers(0, len(furry), min(26000, int(1.1 * len(furry))))]
    grow_hairs(
        canvas,
        pet,
        depth,
        2 * unit * coat["length"],
        generator,
        {
            "pixel": np.stack([columns, rows], 1)[picked],
            "local": local[picked],
            "frame": frames[picked],
            "part": parts[picked],
            "normal": surface[picked],
            "colour": colour[picked],
            "depth": camera[picked, 2],
        },
    )
    _draw_face(
        species,
        pet,
        generator,
        skin,
        {
            "canvas": canvas,
            "depth": depth,
            "scale": 2 * unit,
            "light": light,
            "origin": (2 * origin[0], 2 * origin[1]),
            "head": pet.rotations[0],
            "bright": colour.mean(),
        },
    )
    return _develop(canvas, size, generator), pet.collar


def _pose(species: str, generator: np.random.Generator, size: int):
    """A posed pet, pixels per head radius, the head's place in pixels, and the row of its feet."""

    def draw(low, high):
        return float(generator.uniform(low, high))

    def choose(options, shares):
        return options[int(generator.choice(len(options), p=shares))]

    pet = Pet([], [], [])
    (build_dog_head if species == "dogs" else build_cat_head)(pet, draw, choose)
    shot = choose(list(SHOTS), list(SHOTS.values()))
    pose = shot if shot in ("lying", "standing") else "sitting"
    neck = build_body(species, pose, pet, draw)
    pet.collar = generator.random() < 0.4
    if pet.collar:
        add_collar(pet, neck, draw)
    near = shot in ("close", "half")
    roll, look = draw(-11, 11), draw(-9, 8) if near else draw(-14, 0)
    turn = draw(-32, 32) if pose == "sitting" else draw(-78, 78)
    head = rotate(0, look, roll) @ rotate(
        float(np.clip(turn * 0.45 + draw(-24, 24), -42, 42)), draw(-7, 6), draw(-9, 9)
    )
    body = rotate(0, look * 0.8, roll * 0.5 * near) @ rotate(turn, 0, 0)
    place_pet(pet, head, body, neck, draw(0.82, 1.1))
    unit = size * draw(*{"close": (0.26, 0.33), "half": (0.2, 0.25)}.get(shot, (0.14, 0.17)))
    low = np.min([b.center - b.radii.max() for b in pet.blobs], axis=0) * unit
    high = np.max([b.center + b.radii.max() for b in pet.blobs], axis=0) * unit
    if near:
        origin = (size * draw(0.44, 0.56), size * draw(0.46, 0.55))
    else:
        room = np.maximum(size - (high - low), -0.2 * size) / 2
        origin = (
            size / 2 - (low + high)[0] / 2 + room[0] * draw(-0.9, 0.9),
            size / 2 + (low + high)[1] / 2 + room[1] * draw(-0.3, 0.9),
        )
    return pet, unit, origin, origin[1] - low[1]


def _draw_scene(generator, light: dict, mask: np.ndarray, unit: float, foot: float) -> np.ndarray:
    """The place (s, s, 3) with the shadow of a pet that covers `mask` (s, s)."""
    size = len(mask)
    lowest = float(np.nonzero(mask.any(1))[0][-1])
    ground = lowest if lowest < size - 2 else foot
    horizon = np.clip((ground - unit * generator.uniform(0.4, 2.5)) / size, 0.15, 0.9)
    scene = draw_place(generator, size, light, float(horizon), unit)
    y, x = np.mgrid[0:size, 0:size] + 0.5
    across = np.nonzero(mask.any(0))[0]
    spread = ((x - across.mean()) / (0.55 * len(across) + 1)) ** 2 + (
        (y - ground + unit * 0.2) / (unit * 0.5)
    ) ** 2
    return scene * (1 - 0.6 * np.clip(1.25 - spread, 0, 1) * (y > ground - unit))[..., None]


def _draw_face(species: str, pet: Pet, generator, skin: np.ndarray, view: dict) -> None:
    dog = species == "dogs"
    draw_eyes(view, pet.face, generator, slit=not dog and generator.random() < 0.8)
    draw_nose(view, pet.face, skin, "large" if dog else "small")
    length = generator.random()
    whiskers = (0.35 if length < 0.5 else 0.0) if dog else 1.0 + 0.4 * length
    draw_mouth_and_whiskers(view, pet.face, generator, whiskers)


def _develop(canvas: np.ndarray, size: int, generator) -> Image.Image:
    """Canvas (2 size, 2 size, 3) to a picture: smaller, now and then behind something, grainy."""
    picture = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.LANCZOS), float)
    if generator.random() < 0.14:
        pixels = draw_front(generator, pixels)
    grain = generator.random((size, size, 1)) + generator.random((size, size, 1)) - 1
    pixels = pixels + generator.uniform(1, 4) * grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def seed_drawing(seed: int, part: str, species: str, index: int) -> np.random.Generator:
    """The generator that a drawing of the dataset has for itself."""
    return np.random.default_rng([seed, PARTS.index(part), SPECIES.index(species), index])


def draw_member(job: tuple[int, str, str, int]) -> tuple[str, bytes, bool]:
    """A drawing's place in the dataset, its JPEG bytes, and whether there is a collar.

    `job` is (seed, part, species, index).
    """
    _, part, species, index = job
    generator, buffer = seed_drawing(*job), io.BytesIO()
    image, collar = draw_pet(species, generator)
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=2)
    return f"{part}/{species}/{species[:-1]}.{index}.jpg", buffer.getvalue(), collar


def describe_software() -> str:
    """The versions on which the bytes of a drawing depend."""
    return f"Pillow {PIL.__version__}, libjpeg {features.version('jpg')}, NumPy {np.__version__}"


def write_archive(
    path: Path, seed: int = SEED, train_per_class: int = 200, test_per_class: int = 150
) -> None:
    """Write the dataset as a gzipped tar; the same seed and software give the same bytes.

    Beside the two parts lies collars.csv, a second question about the same drawings.
    """
    counts = dict(zip(PARTS, (train_per_class, test_per_class), strict=True))
    jobs = [
        (seed, part, species, index)
        for part in PARTS
        for species in SPECIES
        for index in range(counts[part])
    ]
    with ProcessPoolExecutor(max_workers=2) as pool:
        drawings = sorted(pool.map(draw_member, jobs, chunksize=10))
    rows = [f"{name},{collar:d}\n" for name, _, collar in drawings]
    members = {"collars.csv": "".join(["file,collar\n", *rows]).encode("ascii")}
    members |= {name: content for name, content, _ in drawings}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    with open(unfinished, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        headers = {"comment": describe_software()}
        with tarfile.open(
            fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
        ) as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(f"dogscats/{name}")  # its owner, group and time are 0
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    os.replace(unfinished, path)


def main(arguments: list[str]) -> int:
    """`python -m tools.sample.pets [PATH]`: redraw the archive and say what came out."""
    path = Path(arguments[0]) if arguments else ARCHIVE
    write_archive(path)
    content = path.read_bytes()
    print(f"{path}\n{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}")
    with tarfile.open(path) as archive:
        collars_csv = archive.extractfile("dogscats/collars.csv")
        assert collars_csv
        table = collars_csv.read().decode("ascii")
    rows = [line.rsplit(",", 1) for line in table.splitlines()[1:]]
    counts = Counter(os.path.dirname(name) for name, _ in rows)
    collars = Counter(os.path.dirname(name) for name, collar in rows if collar == "1")
    for folder, count in sorted(counts.items()):
        print(f"{count:5d}  {folder}, {collars[folder]} with a collar")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
