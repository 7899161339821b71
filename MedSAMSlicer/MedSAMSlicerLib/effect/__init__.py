"""Parts of the Segment Editor effect: Qt's side of what `scene.editing.contour_editor` decides."""
