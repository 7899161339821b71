"""The log, without anything of the patient, and the details that a report of an error needs."""
