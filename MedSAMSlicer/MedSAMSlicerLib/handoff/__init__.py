"""From contour to treatment plan: DICOM files of segments, margins, measurements."""
