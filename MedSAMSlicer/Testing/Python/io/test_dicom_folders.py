"""Opening what archives and scanners hand out: folders with more than one series, phases, tilted and colour images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedCTImageStorage, MediaStorageDirectoryStorage, RLELossless, generate_uid

from MedSAMSlicerLib.io.image import grid_difference
from MedSAMSlicerLib.io.image_files import read_image
from MedSAMSlicerLib.io.segmentations import read_label, write_segmentation

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def add_axial(series: Any, stored: np.ndarray, at: list[float], **tags: object) -> list[Path]:
    return [series.add((-10, 20, z), pixels, **tags) for z, pixels in zip(at, stored, strict=False)]


class TestChoice:
    def test_of_two_series_one_is_chosen(
        self, series: Any, new_series: Callable, stored: np.ndarray, refused: Callable
    ) -> None:
        add_axial(series, stored, [0, 3, 6])
        other = new_series(series.folder, number=7, description="T2\n axial", modality="MR")
        add_axial(other, stored, [0, 3])
        with refused(
            series.folder,
            "2 volumes",
            "number 3: Chest 2.0, CT, 3 slices",
            "number 7: T2 axial, MR, 2 slices",
            "--series",
        ):
            read_image(series.folder)
        for wanted in ("7", other.uid, "t2 AX"):
            image = read_image(series.folder, series=wanted)
            assert (image.modality, image.voxels.shape[0], image.notes) == ("MR", 2, ())
        with refused(series.folder, "no series '8'", "number 3", "number 7"):
            read_image(series.folder, series="8")

    def test_what_comes_along_from_an_archive_is_left_out_and_noted(
        self, tmp_path: Path, new_series: Callable, stored: np.ndarray
    ) -> None:
        """A CD: the CT in folders in folders, localizers, a dose report, a screenshot, a DICOMDIR, and rubbish."""
        root = tmp_path / "export"
        series = new_series(root / "DICOM" / "ST000001" / "SE000001")
        add_axial(series, stored, [0, 3, 6, 9])
        scout = new_series(root / "DICOM" / "ST000001" / "SE000002", number=1, description="Topogram")
        scout.orientation = (1, 0, 0, 0, 0, -1)
        add_axial(scout, stored, [0, 3], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        # And a localizer in the series itself.
        series.orientation = (1, 0, 0, 0, 0, -1)
        series.add((0, 0, 0), stored[5], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        report = new_series(root / "DICOM" / "ST000001" / "SE000003", number=999, modality="SR")
        report.add((0, 0, 0), stored[0], Rows=None, Columns=None, PixelData=None)
        capture = new_series(root / "DICOM" / "ST000001" / "SE000004", number=501, description="Dose", modality="OT")
        capture.add((0, 0, 0), stored[0], SOPClassUID=SECONDARY_CAPTURE, ImagePositionPatient=None)
        (root / "DICOM" / "broken.dcm").touch()
        (root / "DICOMDIR").write_bytes(b"junk" * 50)
        (root / "autorun.inf").write_text("[autorun]")

        image = read_image(root)

        np.testing.assert_array_equal(image.voxels, stored[:4].astype(int) - 1024)
        (note,) = image.notes
        for text in ("Topogram", "Dose", "number 3.2: Chest 2.0", "1 DICOM file without an image", "1 empty file"):
            assert text in note

    def test_a_dicomdir_is_no_image(self, series: Any, stored: np.ndarray) -> None:
        add_axial(series, stored, [0, 3, 6])
        directory = pydicom.Dataset()
        directory.file_meta = pydicom.dataset.FileMetaDataset()
        directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
        directory.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        directory.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        directory.FileSetID = "CD"
        directory.save_as(series.folder / "DICOMDIR", enforce_file_format=True)
        assert read_image(series.folder).notes == ()

    def test_images_of_another_size_are_a_volume_of_their_own(
        self, series: Any, stored: np.ndarray, refused: Callable
    ) -> None:
        add_axial(series, stored, [0, 3, 6])
        series.pixel_spacing = (0.9, 0.9)
        add_axial(series, stored[:, :5], [0, 3])
        with refused(series.folder, "2 volumes", "number 3.1: Chest 2.0, CT, 3 slices", "number 3.2"):
            read_image(series.folder)
        assert read_image(series.folder, series="3.2").voxels.shape == (2, 5, 8)

    def test_a_file_alone_is_a_series(self, series: Any, stored: np.ndarray) -> None:
        file = series.add((0, 0, 0), stored[0]).rename(series.folder / "one.dcm")
        assert read_image(file).voxels.shape == (1, 7, 8)

    def test_a_long_series_is_no_localizer_whatever_it_is_called(self, tmp_path: Path, new_series: Callable) -> None:
        slices = np.random.default_rng(1).integers(0, 3000, (20, 7, 8)).astype(np.uint16)
        survey = new_series(tmp_path / "a", description="Skeletal survey")
        add_axial(survey, slices, [3.0 * n for n in range(20)])
        few = new_series(tmp_path / "a", number=4, description="Scout")
        few.orientation = (1, 0, 0, 0, 0, -1)
        add_axial(few, slices, [0, 3])
        image = read_image(tmp_path / "a")
        assert image.voxels.shape[0] == 20 and "Scout" in image.notes[0]

    def test_copies_and_segmentations_are_left_out(self, series: Any, new_series: Callable, stored: np.ndarray) -> None:
        files = add_axial(series, stored, [0, 3, 6])
        (series.folder / "copy").mkdir()
        for file in files:
            (series.folder / "copy" / file.name).write_bytes(file.read_bytes())
        seg = new_series(series.folder, number=9, modality="SEG", description="lung")
        seg.add((0, 0, 0), stored[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
        (series.folder / "gone").symlink_to(series.folder / "nowhere")
        image = read_image(series.folder)
        np.testing.assert_array_equal(image.voxels, stored[:3].astype(int) - 1024)
        (note,) = image.notes
        assert "3 further copies" in note and "number 9: lung" in note

    def test_a_chosen_series_leaves_its_localizer_out(self, series: Any, stored: np.ndarray) -> None:
        add_axial(series, stored, [0, 3, 6])
        series.orientation = (1, 0, 0, 0, 0, -1)
        series.add((0, 0, 0), stored[5], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        image = read_image(series.folder, series="3")
        assert image.voxels.shape[0] == 3 and "Left out" in image.notes[0]


class TestPhases:
    def test_two_times_of_two_echoes(self, series: Any, stored: np.ndarray) -> None:
        number = 0
        for order, z in ((((1, 5), (1, 9), (2, 5), (2, 9)), 0), (((2, 9), (1, 5), (2, 5), (1, 9)), 3)):
            for time, echo in order:
                number += 1
                tags = {"TemporalPositionIdentifier": time, "EchoTime": echo, "InstanceNumber": number}
                series.add((0, 0, z), stored[0] + 10 * time + echo, **tags)
        for frame, (time, echo) in enumerate(((1, 5), (1, 9), (2, 5), (2, 9))):
            voxels = read_image(series.folder, frame=frame).voxels
            np.testing.assert_array_equal(voxels, np.stack([stored[0].astype(int) + 10 * time + echo - 1024] * 2))

    def test_positions_of_each_phase_may_be_rounded(self, series: Any, stored: np.ndarray) -> None:
        for phase, shift in enumerate((-0.02, 0.02)):
            add_axial(series, stored + phase, [z + shift for z in (0, 3, 6)], TemporalPositionIdentifier=phase + 1)
        np.testing.assert_array_equal(read_image(series.folder, frame=1).voxels, stored[:3].astype(int) + 1 - 1024)

    @pytest.mark.parametrize(
        "tag", ["TemporalPositionIdentifier", "TriggerTime", "EchoTime", "AcquisitionNumber", "AcquisitionTime"]
    )
    def test_a_phase_is_chosen(self, series: Any, stored: np.ndarray, refused: Callable, tag: str) -> None:
        for phase, value in ((1, 20), (0, 10), (2, 30)):
            add_axial(series, stored + phase, [6, 0, 3], **{tag: f"{value}" if tag == "AcquisitionTime" else value})
        with refused(series.folder, "3 frames", tag, "0 to 2", "--frame all"):
            read_image(series.folder)
        for phase in range(3):
            image = read_image(series.folder, frame=phase)
            np.testing.assert_array_equal(image.voxels, stored[[1, 2, 0]].astype(int) + phase - 1024)

    def test_a_slice_that_is_there_twice_is_named(self, series: Any, stored: np.ndarray, refused: Callable) -> None:
        files = add_axial(series, stored, [0, 3, 6, 3])
        with refused(
            series.folder, "one position", files[1].name, files[3].name, "3.00 mm", "1 such", "keep one phase"
        ):
            read_image(series.folder)


class TestPlaces:
    @pytest.mark.parametrize("seed", range(4))
    def test_rounded_positions_are_even_and_noted(self, series: Any, stored: np.ndarray, seed: int) -> None:
        at = (
            3.0 * np.arange(6)
            + np.random.default_rng(seed).uniform(-0.02, 0.02, 6).round(3)
            + [0, 0.02, -0.02, 0, 0, 0]
        )
        add_axial(series, stored, at.tolist())
        image = read_image(series.folder)
        assert image.spacing_ijk[2] == pytest.approx(3, abs=0.02)
        (note,) = image.notes
        assert "from an even spacing of" in note

    def test_a_missing_slice_among_rounded_positions_is_named(
        self, series: Any, stored: np.ndarray, refused: Callable
    ) -> None:
        add_axial(series, stored, [0, 3.02, 5.98, 12.01, 15, 17.98])
        with refused(series.folder, "misses 1 slice ", "5.98 to 12.01 mm"):
            read_image(series.folder)

    @pytest.mark.parametrize("degrees", [15, -8])
    def test_a_tilted_gantry_is_contoured_as_it_was_and_written_in_its_place(
        self, series: Any, tmp_path: Path, degrees: float
    ) -> None:
        """A ball in patient space, in slices that are tilted while the table moves straight on."""
        tilt = np.radians(degrees)
        series.orientation = (1, 0, 0, 0, np.cos(tilt), np.sin(tilt))
        series.pixel_spacing, series.intercept = (1, 1), 0
        centre, radius = np.array([25.0, 22.0, 30.0]), 12.0
        rows, columns = np.indices((64, 50))
        for n in range(21):
            start = np.array([0.0, -8.0, 3.0 * n])
            at = start + columns[..., None] * [1, 0, 0] + rows[..., None] * [0, np.cos(tilt), np.sin(tilt)]
            series.add(start, (np.linalg.norm(at - centre, axis=-1) <= radius) * 100)
        image = read_image(series.folder)
        assert image.is_tilted and f"tilted by {abs(degrees):.1f} degrees" in image.notes[0]
        mask = image.voxels > 0
        found = (image.ijk_to_lps @ [*np.argwhere(mask).mean(axis=0)[::-1], 1])[:3]
        np.testing.assert_allclose(found, centre, atol=0.5)
        assert np.linalg.det(image.ijk_to_lps[:3, :3]) * mask.sum() == pytest.approx(
            4 / 3 * np.pi * radius**3, rel=0.03
        )

        write_segmentation(tmp_path / "ball.seg.nrrd", mask, image, "ball", (1, 0, 0))

        written = read_image(tmp_path / "ball.seg.nrrd")
        assert not written.is_tilted
        held = read_label(tmp_path / "ball.seg.nrrd", "1")
        found = (written.ijk_to_lps @ [*np.argwhere(held).mean(axis=0)[::-1], 1])[:3]
        np.testing.assert_allclose(found, centre, atol=0.5)
        assert held.sum() == pytest.approx(mask.sum(), rel=0.01)

    def test_an_uneven_sideways_shift_is_refused(self, series: Any, stored: np.ndarray, refused: Callable) -> None:
        for n, y in enumerate([0, 2, 0, 2]):
            series.add((0, y, 3 * n), stored[n])
        with refused(series.folder, "shifted sideways unevenly", "2.00 mm"):
            read_image(series.folder)


class TestPixels:
    def test_monochrome1_shows_the_same_hounsfield_units(self, series: Any, stored: np.ndarray) -> None:
        add_axial(series, stored, [0, 3, 6], PhotometricInterpretation="MONOCHROME1")
        np.testing.assert_array_equal(read_image(series.folder).voxels, stored[:3].astype(int) - 1024)

    def test_colour_pictures_keep_their_colours_and_the_pixel_size_of_the_ultrasound(
        self, series: Any, stored: np.ndarray
    ) -> None:
        colours = np.random.default_rng(4).integers(0, 256, (7, 8, 3), dtype=np.uint8)
        region = Dataset()
        region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
        region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03
        add_colour(series, colours, SequenceOfUltrasoundRegions=Sequence([region]))
        image = read_image(series.folder)
        np.testing.assert_array_equal(image.voxels, colours[None])
        assert (image.modality, image.notes) == ("US", ())
        assert image.spacing_ijk == pytest.approx((0.2, 0.3, 1))

    def test_a_cine_is_a_stack_of_pictures(self, series: Any) -> None:
        colours = np.random.default_rng(4).integers(0, 256, (4, 7, 8, 3), dtype=np.uint8)
        add_colour(series, colours[0], NumberOfFrames=4, PixelData=colours.tobytes())
        image = read_image(series.folder)
        np.testing.assert_array_equal(image.voxels, colours)
        assert "size of a pixel" in image.notes[0]

    def test_two_cines_of_a_series_are_chosen_from(self, series: Any, refused: Callable) -> None:
        colours = np.random.default_rng(4).integers(0, 256, (2, 4, 7, 8, 3), dtype=np.uint8)
        for cine in colours:
            add_colour(series, cine[0], NumberOfFrames=4, PixelData=cine.tobytes())
        with refused(series.folder, "2 volumes", "3.1", "3.2"):
            read_image(series.folder)
        np.testing.assert_array_equal(read_image(series.folder, series="3.2").voxels, colours[1])

    def test_monochrome1_of_other_modalities_is_turned_by_the_range_of_its_bits(
        self, series: Any, stored: np.ndarray
    ) -> None:
        series.modality, series.intercept = "DX", 0
        add_axial(series, stored, [0, 3], PhotometricInterpretation="MONOCHROME1", BitsStored=12, HighBit=11)
        np.testing.assert_array_equal(read_image(series.folder).voxels, 4095 - stored[:2].astype(int))


def add_colour(series: Any, colours: np.ndarray, **tags: object) -> Path:
    series.modality = "US"
    unplaced = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept")
    options = {
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelData": colours.tobytes(),
        **dict.fromkeys(unplaced),
        **tags,
    }
    return series.add((0, 0, 0), colours, **options)


class TestEnhanced:
    """One file with all slices, as newer scanners and converted archives have them."""

    @pytest.fixture
    def enhanced(self, series: Any, stored: np.ndarray) -> Callable[..., Path]:
        def write(stacks: int = 1, phases: int = 1, slopes: bool = False, legacy: bool = False) -> Path:
            series.intercept = 0
            plain = pydicom.dcmread(series.add((0, 0, 0), stored[0]))
            next(series.folder.iterdir()).unlink()
            for tag in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
                delattr(plain, tag)
            del plain.RescaleSlope, plain.RescaleIntercept
            plain.file_meta.MediaStorageSOPClassUID = plain.SOPClassUID = EnhancedCTImageStorage
            groups, frames = [], []
            for stack in range(stacks):
                for n in (2, 0, 3, 1):
                    for phase in range(phases):
                        groups.append(self.group(stack, n, phase, slopes))
                        frames.append(stored[n] + phase)
            shared = Dataset()
            measures = Dataset()
            measures.PixelSpacing, measures.SliceThickness = [0.8, 0.5], 2
            shared.PixelMeasuresSequence = Sequence([measures])
            plain.SharedFunctionalGroupsSequence = Sequence([shared])
            plain.PerFrameFunctionalGroupsSequence = Sequence(groups)
            plain.NumberOfFrames = len(frames)
            plain.PixelData = np.stack(frames).astype(np.uint16).tobytes()
            file = series.folder / "IM0000"
            plain.save_as(file, enforce_file_format=True)
            return file

        return write

    def group(self, stack: int, n: int, phase: int, slopes: bool) -> Dataset:
        def item(**attributes: object) -> Sequence:
            one = Dataset()
            for name, value in attributes.items():
                setattr(one, name, value)
            return Sequence([one])

        group = Dataset()
        place = [10 * stack, 20, 2.5 * n] if not stack else [10, 2.5 * n, 5]
        group.PlanePositionSequence = item(ImagePositionPatient=place)
        axes = [1, 0, 0, 0, 1, 0] if not stack else [1, 0, 0, 0, 0, -1]
        group.PlaneOrientationSequence = item(ImageOrientationPatient=axes)
        group.FrameContentSequence = item(StackID=str(stack + 1), TemporalPositionIndex=phase + 1)
        group.PixelValueTransformationSequence = item(
            RescaleSlope=n + 1 if slopes else 1, RescaleIntercept=-1024, RescaleType="HU"
        )
        return group

    def test_place_and_values_are_those_of_single_files(
        self, enhanced: Callable, series: Any, new_series: Callable, stored: np.ndarray, tmp_path: Path
    ) -> None:
        image = read_image(enhanced())
        plain = new_series(tmp_path / "plain")
        for n in range(4):
            plain.add((0, 20, 2.5 * n), stored[n])
        same = read_image(plain.folder)
        assert grid_difference(image, same) is None
        np.testing.assert_array_equal(image.voxels, same.voxels)
        assert (image.modality, image.notes) == ("CT", ())

    def test_each_frame_has_its_own_slope(self, enhanced: Callable, stored: np.ndarray) -> None:
        voxels = read_image(enhanced(slopes=True)).voxels
        np.testing.assert_array_equal(voxels, stored[:4].astype(int) * np.arange(1, 5)[:, None, None] - 1024)

    def test_a_compressed_object(self, enhanced: Callable, stored: np.ndarray) -> None:
        file = enhanced()
        dataset = pydicom.dcmread(file)
        dataset.compress(RLELossless)
        dataset.save_as(file)
        np.testing.assert_array_equal(read_image(file).voxels, stored[:4].astype(int) - 1024)

    def test_phases_are_chosen_from(
        self, enhanced: Callable, series: Any, stored: np.ndarray, refused: Callable
    ) -> None:
        enhanced(phases=2)
        with refused(series.folder, "2 frames", "TemporalPosition", "--frame"):
            read_image(series.folder)
        np.testing.assert_array_equal(read_image(series.folder, frame=1).voxels, stored[:4].astype(int) + 1 - 1024)

    def test_stacks_are_chosen_from(
        self, enhanced: Callable, series: Any, stored: np.ndarray, refused: Callable
    ) -> None:
        enhanced(stacks=2)
        with refused(series.folder, "2 volumes", "number 3.1", "number 3.2", "--series"):
            read_image(series.folder)
        image = read_image(series.folder, series="3.2")
        np.testing.assert_allclose(image.direction[:, 1], [0, 0, -1])


def test_a_palette_is_looked_up(series: Any) -> None:
    indices = np.random.default_rng(6).integers(0, 4, (7, 8)).astype(np.uint8)
    palette = np.array([[0, 0, 0], [255, 0, 0], [0, 128, 0], [10, 20, 255]], np.uint8)
    tables = {}
    for n, name in enumerate(("Red", "Green", "Blue")):
        tables[f"{name}PaletteColorLookupTableDescriptor"] = [4, 0, 8]
        tables[f"{name}PaletteColorLookupTableData"] = palette[:, n].tobytes()
    add_colour(
        series,
        np.repeat(indices[..., None], 3, axis=2),
        SamplesPerPixel=1,
        PhotometricInterpretation="PALETTE COLOR",
        PixelRepresentation=0,
        PixelData=indices.tobytes(),
        **tables,
    )
    np.testing.assert_array_equal(read_image(series.folder).voxels[0], palette[indices])
