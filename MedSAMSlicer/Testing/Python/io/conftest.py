"""What the tests of files share: images and DICOM series made on the spot, and the form that every refusal has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from MedSAMSlicerLib.engine.errors import InputError
from MedSAMSlicerLib.io.image import Image

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., AbstractContextManager[None]]:
    """Expects an InputError of one line that mentions all texts; no file changes, and no library prints by itself."""

    def files() -> dict[Path, tuple[int, int]]:
        return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.rglob("*") if path.is_file()}

    @contextmanager
    def expect(*mentions: object) -> Iterator[None]:
        before = files()
        capfd.readouterr()
        with pytest.raises(InputError) as caught:
            yield
        message = str(caught.value)
        assert "\n" not in message
        for mention in mentions:
            assert str(mention) in message
        assert files() == before
        assert capfd.readouterr().err == ""

    return expect


@pytest.fixture
def shared_data() -> Path:
    """Real volumes beside the checkout."""
    folder = Path(__file__).resolve().parents[5] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"development data is not at {folder}")
    return folder


@pytest.fixture
def rotation() -> np.ndarray:
    """3x3 matrix of a rotation about all three axes."""
    return Rotation.from_euler("xyz", (20, -35, 70), degrees=True).as_matrix()


@pytest.fixture
def oblique(rotation: np.ndarray) -> sitk.Image:
    """A noisy int16 image of 7 x 6 x 5 voxels, oblique, with awkward numbers in its geometry."""
    voxels = np.random.default_rng(7).integers(-1000, 2000, (5, 6, 7)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((0.9765625123456789, 0.7, 3.27))
    image.SetOrigin((-123.456789012345, 881.3200073242188, -0.1))
    image.SetDirection(rotation.ravel().tolist())
    return image


@pytest.fixture
def oblique_image(oblique: sitk.Image, tmp_path: Path) -> Image:
    """The same as it is once it was read."""
    return Image(
        sitk.GetArrayFromImage(oblique),
        oblique.GetSpacing(),
        oblique.GetOrigin(),
        np.array(oblique.GetDirection()).reshape(3, 3),
        None,
        tmp_path / "oblique.nrrd",
    )


@dataclass
class SeriesWriter:
    """Writes slices as a scanner would, one file each; what is set here holds for the slices written next."""

    folder: Path
    orientation: tuple[float, ...] = AXIAL
    pixel_spacing: tuple[float, float] = (0.8, 0.5)
    slope: float = 1
    intercept: float = -1024
    number: int = 3
    description: str = "Chest 2.0"
    modality: str = "CT"
    signed: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.uid = generate_uid()

    def add(self, position: tuple[float, float, float] | np.ndarray, stored: np.ndarray, **tags: object) -> Path:
        """One slice with stored pixel values (rows, columns); `tags` are set last, None takes a tag away."""
        ds = pydicom.Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = CTImageStorage
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
        ds.SeriesInstanceUID, ds.StudyInstanceUID = self.uid, self.uid
        ds.SeriesNumber, ds.SeriesDescription, ds.Modality = self.number, self.description, self.modality
        ds.ImageOrientationPatient = [round(float(n), 10) for n in self.orientation]
        ds.ImagePositionPatient = [round(float(n), 8) for n in position]
        ds.PixelSpacing = list(self.pixel_spacing)
        ds.SliceThickness = 2
        ds.RescaleSlope, ds.RescaleIntercept = self.slope, self.intercept
        ds.Rows, ds.Columns = stored.shape[:2]
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, int(self.signed)
        ds.PixelData = stored.astype(np.int16 if self.signed else np.uint16).tobytes()
        for tag, value in tags.items():
            if value is None:
                delattr(ds, tag)
            else:
                setattr(ds, tag, value)
        # Scanners number files in the order of time, not of space.
        file = self.folder / f"IM{len(list(self.folder.iterdir())):04d}"
        ds.save_as(file, enforce_file_format=True)
        return file


@pytest.fixture
def stored() -> np.ndarray:
    """(6, 7, 8) stored values of six slices, no two of them alike."""
    return np.random.default_rng(11).integers(0, 3000, (6, 7, 8)).astype(np.uint16)


@pytest.fixture
def new_series() -> type[SeriesWriter]:
    """For tests that need several series, or one in a folder of their own."""
    return SeriesWriter


@pytest.fixture
def series(tmp_path: Path) -> SeriesWriter:
    """An axial CT series, still without slices."""
    return SeriesWriter(tmp_path / "series")
