"""`tools/litemedsam_plus/train.py` gives the same file again, and shows the decoder what the propagation would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from learning.conftest import SIDE, PatchEncoder, SmallLiteMedSAM
from litemedsam_plus.augmentation import changed_variant, plain_variant
from litemedsam_plus.boxes import boxes_of, jittered, medians, network_boxes
from litemedsam_plus.prompts import prompted_boxes, spoilt
from litemedsam_plus.remembered import remembered_pairs
from litemedsam_plus.sequences import BETWEEN_CONTOURS, FROM_CONTOUR, IN_BOX, batch_of, drawn_sequence
from litemedsam_plus.settings import BoxSettings, ImageSettings, RememberedSettings, SequenceSettings, Settings
from litemedsam_plus.taught import Taught, taught, track_weights
from litemedsam_plus.train import main, train
from litemedsam_plus.training import sequence_losses
from litemedsam_plus.volumes import Volume, read_volumes
from MedSAMSlicerLib.engine.models.adapter import read_adapter
from MedSAMSlicerLib.engine.models.catalogue import CATALOGUE, find_model
from MedSAMSlicerLib.engine.models.litemedsam import FAMILY
from MedSAMSlicerLib.engine.models.model_files import check_adapter, verified_files
from MedSAMSlicerLib.engine.prompts import Box
from MedSAMSlicerLib.engine.propagation.settings import PropagationSettings
from MedSAMSlicerLib.evaluation.cases import read_cases
from support.shapes import ellipsoid

SLICES = 9
ANYTHING = RememberedSettings(predicted_iou=-9, stability=-1, smallest_area=-1, overlap=2, agreement=-1, tried=8)
SMALL = Settings(variants=2, steps=2, stop_after=2, batch=2)


def _write(path: Path, array: np.ndarray) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 5.0))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def tables(tmp_path: Path) -> list[Path]:
    """Two tables with an image each, of a bright ellipsoid; the second image has a row for a smaller one, too."""
    found = []
    for number, name in enumerate(("own", "others")):
        large = ellipsoid((SLICES, 40, 48), (4.0, 18.0 + number, 24.0), (3.2, 9.0, 12.0))
        small = ellipsoid((SLICES, 40, 48), (4.0, 32.0, 24.0), (2.2, 5.0, 6.0))
        noise = np.random.default_rng(number).normal(0, 6, large.shape)
        _write(tmp_path / f"{name}.nii.gz", (np.where(large, 180, 70) + noise).astype(np.int16))
        _write(tmp_path / f"{name}_label.nii.gz", large.astype(np.uint8) + 2 * (small & ~large))
        lines = ["id,modality,image,label,value,axis,window"]
        for value in range(1, 2 + number):
            lines.append(f'{name}_{value},PT,{name}.nii.gz,{name}_label.nii.gz,{value},K,"127,255"')
        found.append(tmp_path / f"{name}.csv")
        found[-1].write_text("\n".join(lines) + "\n")
    return found


@pytest.fixture
def volumes(tables: list[Path]) -> list[Volume]:
    return [
        volume
        for number, table in enumerate(tables)
        for volume in read_volumes(read_cases(table), SIDE, number > 0, ImageSettings())
    ]


@pytest.fixture
def lessons(volumes: list[Volume]) -> Taught:
    torch.manual_seed(0)
    return taught(volumes, SmallLiteMedSAM(), PatchEncoder(), "cpu", SMALL)


class TestFile:
    @pytest.mark.usefixtures("small_model")
    def test_the_same_command_writes_the_same_bytes_of_an_adapter_that_fits(
        self, tables: list[Path], tmp_path: Path
    ) -> None:
        command = [*map(str, tables), "--device", "cpu", "--steps", "2", "--stop-after", "2", "--batch", "2"]
        command += ["--variants", "2", "--output"]
        for name in ("once", "twice"):
            assert main([*command, str(tmp_path / f"{name}.medsam"), "--title", "Again"]) == 0
        assert (tmp_path / "once.medsam").read_bytes() == (tmp_path / "twice.medsam").read_bytes()
        adapter = read_adapter(tmp_path / "once.medsam")
        check_adapter(adapter, CATALOGUE["litemedsam"], CATALOGUE["litemedsam"].weights.sha256)
        unchanged = [name for name, tensor in adapter.tensors.items() if not tensor.any()]
        # The same number for all keys changes no softmax.
        assert all(name.endswith("k_proj.bias.delta") for name in unchanged)
        assert adapter.metadata.title == "Again" and "3 contours in 2 images (PT 2)" in adapter.metadata.description

        assert main([*command, str(tmp_path / "other.medsam"), "--title", "Again", "--seed", "1"]) == 0
        assert (tmp_path / "other.medsam").read_bytes() != (tmp_path / "once.medsam").read_bytes()

    @pytest.mark.usefixtures("small_model")
    def test_masks_that_must_not_be_forgotten_take_part(self, tables: list[Path]) -> None:
        network, cases = verified_files(find_model("litemedsam")), [read_cases(table) for table in tables]
        found = [
            train(cases, network, replace(SMALL, remembered=remembered), "cpu")
            for remembered in (ANYTHING, ANYTHING, replace(ANYTHING, per_step=0))
        ]
        with_pairs, again, without = ([tensors[name].tobytes() for name in sorted(tensors)] for tensors in found)
        assert with_pairs == again and with_pairs != without

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--stop-after", "3", "--steps", "2"], "--stop-after 3 is beyond the last step: give 2 or less"),
            (["--batch", "0"], "--batch 0 trains nothing"),
            (["--seed", "-1"], "--seed must not be negative"),
        ],
    )
    def test_an_impossible_wish_is_refused(
        self, tables: list[Path], arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(tables[0]), "--output", "x.medsam", "--device", "cpu", *arguments]) != 0
        assert message in capsys.readouterr().err

    @pytest.mark.usefixtures("small_model")
    def test_an_object_of_a_few_pixels_is_refused(
        self, tables: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        label = np.zeros((SLICES, 40, 48), np.uint8)
        label[4, 10:12, 10:12] = 1
        _write(tmp_path / "own_label.nii.gz", label)
        assert main([str(tables[0]), "--output", str(tmp_path / "x.medsam"), "--device", "cpu", "--variants", "1"]) != 0
        assert "no object reaches 20 pixels" in capsys.readouterr().err
        assert not (tmp_path / "x.medsam").exists()


class TestImages:
    def test_rows_of_the_same_image_are_one_volume(self, volumes: list[Volume]) -> None:
        assert [len(volume.truths) for volume in volumes] == [1, 2]
        assert [volume.other for volume in volumes] == [False, True]
        assert volumes[0].images.shape == (SLICES, 27, 32)

    def test_of_a_long_stack_the_part_around_the_objects_is_taken(self, tables: list[Path]) -> None:
        images = ImageSettings(most_slices=3, around=1)
        (volume,) = read_volumes(read_cases(tables[0]), SIDE, False, images)
        assert len(volume.images) < SLICES and volume.truths.any(axis=(0, 2, 3)).all()

    @pytest.mark.parametrize("seed", range(12))
    def test_a_changed_image_and_its_objects_stay_together_inside_the_slice(
        self, volumes: list[Volume], seed: int
    ) -> None:
        random = np.random.default_rng(seed)
        variant = changed_variant(volumes[0], SIDE, "cpu", ImageSettings(), random)
        rows, columns = variant.size
        outside = torch.ones((SIDE, SIDE), dtype=torch.bool)
        outside[:rows, :columns] = False
        assert max(rows, columns) == SIDE
        assert not variant.truths[..., outside].any() and not variant.inputs[..., outside].any()
        assert variant.inputs.min() >= 0 and variant.inputs.max() <= 1
        assert variant.truths.any()
        # The object is bright, and PET is never inverted.
        middle = int(variant.truths.sum((0, 2, 3)).argmax())
        image, truth = variant.inputs[middle, 0], variant.truths[0, middle]
        assert image[truth].mean() > image[~truth & ~outside].mean() + 0.1

    def test_the_first_variant_is_what_the_program_shows_the_encoder(self, volumes: list[Volume]) -> None:
        family = SmallLiteMedSAM()
        variant = plain_variant(volumes[0], family, "cpu")
        shown = np.stack([family.prepare(image) for image in volumes[0].images])
        assert np.array_equal(variant.inputs.expand(-1, 3, -1, -1).numpy(), shown)

    def test_embeddings_and_masks_are_where_the_tracks_say(self, lessons: Taught, volumes: list[Volume]) -> None:
        family = SmallLiteMedSAM()
        assert len(lessons.embeddings) == 2 * sum(len(volume.images) for volume in volumes)
        assert sorted(begin for one in lessons.variants for begin in one.first_masks) == [
            track.first_mask for track in lessons.tracks
        ]
        torch.manual_seed(0)
        encode = PatchEncoder()
        second = plain_variant(volumes[1], family, "cpu")
        found = [track for track in lessons.tracks if track.first_slice == len(volumes[0].images)]
        assert len(found) == 2
        with torch.no_grad():
            wanted = encode(second.inputs.expand(-1, 3, -1, -1)).half()
        for track, truth in zip(found, second.truths, strict=True):
            assert torch.equal(lessons.embeddings[track.first_slice : track.first_slice + track.slices], wanted)
            assert torch.equal(lessons.masks[track.first_mask : track.first_mask + track.slices], truth)
            assert track.areas.tolist() == truth.sum((1, 2)).tolist()

    def test_half_of_what_is_drawn_comes_from_each_table(self, lessons: Taught) -> None:
        weights = track_weights(lessons.tracks, SequenceSettings())
        other = np.array([track.other for track in lessons.tracks])
        assert 0 < other.sum() < len(other)
        assert weights[other].sum() == pytest.approx(0.5) and weights.sum() == pytest.approx(1)


class TestSequences:
    def test_they_follow_the_object_as_the_propagation_does(self, lessons: Taught) -> None:
        settings, in_box, random = SequenceSettings(), PropagationSettings().in_box, np.random.default_rng(0)
        beyond: dict[int, set[int]] = {FROM_CONTOUR: set(), IN_BOX: set(), BETWEEN_CONTOURS: set()}
        track = lessons.tracks[0]
        first, last = track.held[[0, -1]].tolist()
        for _ in range(400):
            one = drawn_sequence(track, settings, in_box, random)
            assert 1 <= len(one.slices) <= settings.length and track.areas[one.slices[0]] > 0
            assert all(0 <= index < track.slices for index in one.slices)
            assert len({b - a for a, b in zip(one.slices, one.slices[1:], strict=False)}) <= 1
            if one.neighbour is not None:
                assert track.areas[one.neighbour] > 0
            if one.kind == BETWEEN_CONTOURS:
                assert one.slices[-1] not in (first, last) or len(one.slices) == 1
            beyond[one.kind] |= {max(first - index, index - last) for index in one.slices}
        assert max(beyond[FROM_CONTOUR]) in (1, 2) and max(beyond[IN_BOX]) == 0 and max(beyond[BETWEEN_CONTOURS]) <= 0

    def test_prompted_boxes_are_whole_pixels_inside_the_input(self, lessons: Taught) -> None:
        propagation, settings = PropagationSettings(), SequenceSettings()
        random, on_device = np.random.default_rng(1), torch.Generator().manual_seed(1)
        drawn = [drawn_sequence(lessons.tracks[n % 2], settings, propagation.in_box, random) for n in range(200)]
        batch = batch_of(drawn, settings.length, "cpu")
        neighbour = spoilt(lessons.masks[batch.neighbour].float(), BoxSettings(), on_device)
        for at in range(settings.length):
            own, known = lessons.boxes[batch.masks[:, at]], batch.has_neighbour
            arguments = (BoxSettings(), propagation.outward, on_device)
            boxes = prompted_boxes(batch, at, own, neighbour, known, *arguments)
            assert torch.equal(boxes, boxes.floor())
            assert (boxes >= 0).all() and (boxes < SIDE).all() and (boxes[:, 2:] >= boxes[:, :2]).all()
            # Objects of a drawn box are where the box is, but for those that have ended.
            there = ~torch.isnan(own[:, 0])
            overlap = (boxes[:, 2:] >= own[:, :2]) & (own[:, 2:] >= boxes[:, :2])
            assert overlap[there].all(1).float().mean() > 0.95

    def test_where_the_object_has_ended_no_dice_loss_counts(self) -> None:
        parts = [torch.full((2,), value, requires_grad=True) for value in (3.0, 5.0, 7.0)]
        losses = sequence_losses(*parts, torch.tensor([1.0, 0.0]), 0.3)
        assert losses.tolist() == pytest.approx([3 + 5 + 7, 0.3 * 3 + 7])
        losses.sum().backward()
        assert parts[1].grad is not None and parts[1].grad.tolist() == [1, 0]

    def test_pairs_that_must_not_be_forgotten_lie_on_neighbouring_slices_of_one_variant(self, lessons: Taught) -> None:
        def decode(embeddings: torch.Tensor, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            """Finds the box."""
            pixels = torch.arange(SIDE)
            x, y = ((pixels >= boxes[:, n, None]) & (pixels <= boxes[:, n + 2, None]) for n in (0, 1))
            return torch.where(y[:, :, None] & x[:, None], 9.0, -9.0), torch.full((len(boxes),), 0.9)

        pairs = remembered_pairs(lessons, decode, RememberedSettings(agreement=0.2), seed=0)
        assert pairs is not None and len(pairs) > 0
        distance = (pairs.first - pairs.second).abs()
        assert distance.min() == 1 and distance.max() == 2
        ends = torch.tensor([one.first_slice for one in lessons.variants])
        assert torch.equal(
            torch.bucketize(pairs.first, ends, right=True), torch.bucketize(pairs.second, ends, right=True)
        )
        objects = {int(slice_): torch.zeros((SIDE, SIDE), dtype=torch.bool) for slice_ in pairs.first}
        for track in lessons.tracks:
            for index in range(track.slices):
                if track.first_slice + index in objects:
                    objects[track.first_slice + index] |= lessons.masks[track.first_mask + index]
        for slice_, logits in zip(pairs.first.tolist(), pairs.first_logits, strict=True):
            assert ((logits > 0) & objects[slice_]).sum() < 0.3 * (logits > 0).sum()
        unsure = RememberedSettings(predicted_iou=0.95)
        assert remembered_pairs(lessons, decode, unsure, seed=0) is None


class TestBoxes:
    def test_margins_are_those_of_the_family(self) -> None:
        side = FAMILY.input_size
        edges = np.sort(np.random.default_rng(0).uniform(0, side - 1, (200, 2, 2)), axis=1).reshape(200, 4)
        for factor in (0.0, 1.0, 2.5):
            found = network_boxes(torch.tensor(edges), factor, side).numpy()
            wanted = [
                FAMILY.network_box(FAMILY.with_margin(Box(*box), side, side, factor), side, side) for box in edges
            ]
            assert np.array_equal(found, np.stack(wanted))

    def test_bounding_boxes_are_those_of_single_masks(self) -> None:
        masks = np.random.default_rng(0).random((50, 6, 9)) > 0.97
        for mask, box in zip(masks, boxes_of(torch.from_numpy(masks)).tolist(), strict=True):
            wanted = Box.from_mask(mask)
            assert np.isnan(box).all() if wanted is None else tuple(box) == wanted.xyxy
        assert not masks[0].all() and any(not mask.any() for mask in masks)

    def test_jitter_is_as_large_as_it_may_be(self) -> None:
        boxes = torch.tensor([[50.0, 60.0, 149.0, 79.0]]).repeat(500, 1)
        moved = jittered(boxes, torch.full((500,), 0.1), 256, torch.Generator().manual_seed(0)) - boxes
        assert moved.abs().amax(0).tolist() == pytest.approx([10, 2, 10, 2], rel=0.05)

    def test_the_median_is_that_of_torch(self) -> None:
        three = torch.randn(3, 100, generator=torch.Generator().manual_seed(0))
        assert torch.equal(medians(*three), three.median(0).values)
