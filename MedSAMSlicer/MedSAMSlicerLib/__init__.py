"""MedSAMSlicer: contours tumours and organs in volumes with promptable models.

Three floors, imports only downwards: ``engine`` (numpy and torch), ``scene`` (MRML), and the faces
(command line, Segment Editor effect, module panel). Importing this package imports none of them.
"""

__version__ = "0.1.0"
