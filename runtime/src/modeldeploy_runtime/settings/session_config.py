"""Reads the file of ``--tensorflow_session_config_file``: TensorFlow's ConfigProto as text."""

from pathlib import Path

from google.protobuf import text_format

from modeldeploy_runtime.flags import FlagError
from modeldeploy_runtime.protos import messages


def read(file: str) -> bytes:
    """
    Read a ConfigProto and return it serialised; no file means an empty one.

    Raises:
        FlagError: The file cannot be read, or is no ConfigProto.
    """
    config = messages.ConfigProto()
    if file:
        try:
            text_format.Parse(Path(file).read_text(), config)
        except (OSError, UnicodeDecodeError) as error:
            raise FlagError(f"--tensorflow_session_config_file cannot be read: {error}") from error
        except text_format.ParseError as error:
            raise FlagError(
                f"Error parsing text-format tensorflow.ConfigProto: {file}: {error}"
            ) from error
    serialized: bytes = config.SerializeToString()
    return serialized
