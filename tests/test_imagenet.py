"""ImageNet's own classes as a classifier of cats and dogs."""

import pytest
import torch

from utils.imagenet import GROUPS, find_groups, list_class_names, sum_groups


def test_groups_are_the_cats_and_the_dogs():
    names = list_class_names()
    assert len(names) == 1000
    assert names[GROUPS["cat"]] == ["tabby", "tiger cat", "Persian cat", "Siamese cat",
                                    "Egyptian cat"]  # fmt: skip
    dogs = names[GROUPS["dog"]]
    assert len(dogs) == 118 and (dogs[0], dogs[-1]) == ("Chihuahua", "Mexican hairless")
    assert names[GROUPS["dog"].stop] == "grey wolf" or "wolf" in names[GROUPS["dog"].stop]


@pytest.mark.parametrize("classes", [("cats", "dogs"), ("Cat", "Dog"), ("cat", "dogs")])
def test_cats_and_dogs_are_found_in_the_order_of_the_classes(classes):
    assert find_groups(classes) == [GROUPS["cat"], GROUPS["dog"]]
    assert find_groups(classes[::-1]) == [GROUPS["dog"], GROUPS["cat"]]


@pytest.mark.parametrize("classes", [("cats", "parrots"), ("cats", "dogs", "owls"), ("1", "2")])
def test_other_classes_have_no_groups(classes):
    assert find_groups(classes) is None


def test_sums_are_probabilities_of_groups():
    logits = torch.full((2, 1000), -30.0)
    logits[0, 283] = logits[0, 0] = 0.0  # half a Persian cat, half a tench
    logits[1, 151] = logits[1, 268] = logits[1, 281] = 0.0
    sums = sum_groups(logits, find_groups(("cats", "dogs")))
    assert torch.allclose(sums, torch.tensor([[0.5, 0.0], [1 / 3, 2 / 3]]), atol=1e-4)
