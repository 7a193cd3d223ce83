"""The long table of notebook 07: when does unfreezing pay, and which stage?

python -m tools.unfreezing PHOTOGRAPHS [PROCESSES]     on a GPU: minutes

PHOTOGRAPHS is a folder with train/ and valid/ of cats and dogs; the drawings are the sample.
For each case (a question, or a shift of the images) and each stage, EfficientNet-Lite0 starts from
the best frozen head (Kumar et al., 2022) and trains the stage and the head: 160 steps of 32, Adam,
warm-up and cosine. Of 8 settings (4 learning rates, batch-norm statistics kept or not) validation
chooses one, with one seed; three other seeds are tested. Stages: Lee et al. (2023).
"""

import copy
import json
import multiprocessing
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from tools.sample import pets
from utils.claims import find_p_value
from utils.features import fit_head
from utils.models import freeze, list_stages, load_efficientnet_lite0
from utils.settings import ROOT

STORED = ROOT / "data" / "unfreezing.json"
STAGES = {
    "first": ["stem", "stage 1"],
    "middle": ["stage 2", "stage 3"],
    "last": ["stage 4"],
    "all": ["stem", "stage 1", "stage 2", "stage 3", "stage 4"],
}
RATES = (3e-5, 1e-4, 3e-4, 1e-3)
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
STEPS, BATCH, VIEWS, SEEDS = 160, 32, 8, (1, 2, 3)
MEAN = STD = 0.5
SHIFTS = {
    "none": lambda images: images,
    "noise": lambda images: (images + 0.3 * torch.randn_like(images)).clamp(0, 1),
    "small": lambda images: F.interpolate(
        F.interpolate(images, size=32, mode="bilinear", antialias=True), size=224, mode="bilinear"
    ),
    "inverted": lambda images: 1 - images,
}
# name: (images to train on, images to test on, which labels, shift of both)
CASES = {
    "photographs: cat or dog": ("photographs", "photographs", "species", "none"),
    "drawings: cat or dog": ("drawings", "drawings", "species", "none"),
    "drawings: collar or none": ("drawings", "drawings", "collar", "none"),
    "drawings: looks left or right": ("drawings", "drawings", "direction", "none"),
    "photographs with noise": ("photographs", "photographs", "species", "noise"),
    "photographs of 32 pixels": ("photographs", "photographs", "species", "small"),
    "photographs, colours inverted": ("photographs", "photographs", "species", "inverted"),
    "from drawings to photographs": ("drawings", "photographs", "species", "none"),
    "from photographs to drawings": ("photographs", "drawings", "species", "none"),
}


def read_part(folder: Path, part: str) -> dict[str, torch.Tensor]:
    """The images of a part, uint8 [N, 3, 256, 256], and their labels [N] for each question."""
    crop = v2.Compose([v2.Resize(256), v2.CenterCrop(256), v2.PILToTensor()])
    files = ImageFolder(folder / part, crop)
    found = {"images": torch.stack([image for image, _ in files])}
    found["species"] = torch.tensor(files.targets)
    if (folder / "collars.csv").is_file():
        lines = (folder / "collars.csv").read_text().split()[1:]
        collars = dict(line.split(",") for line in lines)
        names = [Path(path).relative_to(folder).as_posix() for path, _ in files.samples]
        found["collar"] = torch.tensor([int(collars[name]) for name in names])
        found["direction"] = torch.tensor([looks_right(name) for name in names])
    return found


def looks_right(name: str) -> int:
    """Whether the drawing's head is turned to the right: drawn again, as far as its pose."""
    part, species, file = name.split("/")
    generator = pets.seed_drawing(pets.SEED, part, species, int(file.split(".")[1]))
    pet, *_ = pets._pose(species, generator, 256)
    return int(pet.rotations[0][0, 2] > 0)


def make_views(images: torch.Tensor, shift: str, flip: bool) -> torch.Tensor:
    """Random views: uint8 [N, 3, 256, 256] → floats [N, 3, 224, 224], half to all of the area."""
    count, device = len(images), images.device
    scale = torch.empty(count, device=device).uniform_(0.5, 1).sqrt()
    corners = torch.zeros(count, 2, 3, device=device)
    mirror = torch.randint(0, 2, (count,), device=device) * 2 - 1 if flip else 1
    corners[:, 0, 0], corners[:, 1, 1] = scale * mirror, scale
    corners[:, :, 2] = (2 * torch.rand(count, 2, device=device) - 1) * (1 - scale)[:, None]
    grid = F.affine_grid(corners, [count, 3, 224, 224], align_corners=False)
    views = F.grid_sample(images.float() / 255, grid, align_corners=False)
    return (SHIFTS[shift](views) - MEAN) / STD


def make_centres(images: torch.Tensor, shift: str) -> torch.Tensor:
    """What is judged: the middle 224 pixels of each image, the same noise every time."""
    torch.manual_seed(0)
    middle = images[:, :, 16:240, 16:240].float() / 255
    return (SHIFTS[shift](middle) - MEAN) / STD


@torch.no_grad()
def answer(model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits, or features where `fc` is nn.Identity(), of images [N, 3, 224, 224], in eval mode."""
    model.eval()
    return torch.cat([model(some) for some in images.split(128)])


def judge(logits: torch.Tensor, labels: torch.Tensor) -> tuple[int, float]:
    """How many are correct, and the loss with its sign turned: more is better in both."""
    return int((logits.argmax(1) == labels).sum()), -float(F.cross_entropy(logits, labels))


class Case:
    """A case's images on the device, split for validation, and its best frozen head."""

    def __init__(self, name: str, parts: dict[str, dict], device: str) -> None:
        source, target, question, self.shift = CASES[name]
        self.flip = question != "direction"
        train, test = parts[f"{source} train"], parts[f"{target} valid"]
        order = torch.randperm(len(train["images"]), generator=torch.Generator().manual_seed(0))
        cut = int(0.7 * len(order))
        fit, validation = order[:cut], order[cut:]
        self.images = train["images"][fit].to(device)
        self.labels = train[question][fit].to(device)
        self.validation = make_centres(train["images"][validation].to(device), self.shift)
        self.validation_labels = train[question][validation].to(device)
        self.test = make_centres(test["images"].to(device), self.shift)
        self.test_labels = test[question].to(device)
        self.model = load_efficientnet_lite0().to(memory_format=torch.channels_last).to(device)
        self.model.fc = nn.Identity()
        self.model.fc, self.frozen_validation = self.find_best_head()
        self.frozen_right = answer(self.model, self.test).argmax(1) == self.test_labels

    def find_best_head(self) -> tuple[nn.Module, int]:
        """Of ten heads, on the middles alone or on VIEWS random views, too: validation chooses."""
        torch.manual_seed(0)
        rows = [answer(self.model, make_centres(self.images, self.shift))]
        for _ in range(VIEWS):
            rows.append(answer(self.model, make_views(self.images, self.shift, self.flip)))
        features = answer(self.model, self.validation)
        found: list[tuple] = []
        for some in (rows[:1], rows):
            values = torch.cat(some).cpu()
            table = TensorDataset(values, self.labels.cpu().repeat(len(some)))
            for decay in DECAYS:
                head = fit_head(table, decay).to(features.device)
                with torch.no_grad():
                    found.append((judge(head(features), self.validation_labels), len(found), head))
        best, _, head = max(found, key=lambda each: each[:2])
        return head, best[0]

    def train(self, stage: str, rate: float, keep: bool, seed: int) -> nn.Module:
        """The network after STEPS steps of the stage and the head."""
        torch.manual_seed(seed)
        model = copy.deepcopy(self.model)
        freeze(model)
        stages = list_stages(model)
        chosen = [m for name in [*STAGES[stage], "head"] for m in stages[name]]
        parameters = [p.requires_grad_() for module in chosen for p in module.parameters()]
        optimizer = torch.optim.Adam(parameters, lr=rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, rate, total_steps=STEPS, pct_start=0.1, div_factor=100
        )
        model.train(not keep)
        rows = torch.cat([torch.randperm(len(self.images)) for _ in range(STEPS)])
        for step in range(STEPS):
            some = rows[step * BATCH : (step + 1) * BATCH].to(self.images.device)
            views = make_views(self.images[some], self.shift, self.flip)
            views = views.contiguous(memory_format=torch.channels_last)
            with torch.autocast(views.device.type, torch.bfloat16, enabled=views.is_cuda):
                logits = model(views)
            loss = F.cross_entropy(logits.float(), self.labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return model

    def fill_cell(self, stage: str) -> dict:
        """Choose the setting on validation, test it with three seeds, against the frozen head."""
        tried = {}
        for rate in RATES:
            for keep in (True, False):
                model = self.train(stage, rate, keep, seed=0)
                tried[rate, keep] = judge(answer(model, self.validation), self.validation_labels)
        rate, keep = max(tried, key=lambda setting: tried[setting])
        seeds = []
        for seed in SEEDS:
            logits = answer(self.train(stage, rate, keep, seed), self.test)
            right = logits.argmax(1) == self.test_labels
            gained = int((right & ~self.frozen_right).sum())
            lost = int((self.frozen_right & ~right).sum())
            seeds.append(
                {"correct": int(right.sum()), "gained": gained, "lost": lost}
                | {"p": find_p_value(gained, lost)}
            )
        return {
            "rate": rate,
            "statistics": "kept" if keep else "moving",
            "validation": [[r, k, *numbers] for (r, k), numbers in tried.items()],
            "seeds": sorted(seeds, key=lambda each: each["correct"]),
        }


def work(job: tuple[str, str, Path]) -> tuple[str, str, dict]:
    """One cell, in a process of its own; "none" is the case itself, and its frozen head."""
    name, stage, folder = job
    torch.set_num_threads(1)
    start = time.perf_counter()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    case = Case(name, torch.load(folder), device)
    if stage == "none":
        cell = {
            "trained": len(case.labels), "validated": len(case.validation_labels),
            "tested": len(case.test_labels), "validation": case.frozen_validation,
            "correct": int(case.frozen_right.sum()),
        }  # fmt: skip
    else:
        cell = case.fill_cell(stage)
    return name, stage, cell | {"seconds": round(time.perf_counter() - start, 1)}


def main(photographs: str, processes: str = "8") -> None:
    start = time.perf_counter()
    folders = {"photographs": Path(photographs), "drawings": ROOT / "data/datasets/sample"}
    parts = {
        f"{kind} {part}": read_part(folder, part)
        for kind, folder in folders.items()
        for part in ("train", "valid")
    }
    packed = STORED.with_suffix(".pt")
    torch.save(parts, packed)
    jobs = [(name, stage, packed) for stage in ("none", *STAGES) for name in CASES]
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    cells: dict[str, dict] = {name: {} for name in CASES}
    facts = {
        "command": "python -m tools.unfreezing PHOTOGRAPHS",
        "machine": f"{device}, PyTorch {torch.__version__}",
        "settings_tried": len(RATES) * 2,
        "steps": STEPS,
        "cases": cells,
    }
    with multiprocessing.get_context("spawn").Pool(int(processes)) as pool:
        for name, stage, cell in pool.imap_unordered(work, jobs):
            cells[name][stage] = cell
            facts["seconds"] = seconds = round(time.perf_counter() - start)
            print(f"{seconds:5d} s  {name}, {stage}: {cell}", flush=True)
    STORED.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    packed.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
