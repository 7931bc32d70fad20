import struct

import pytest
from model_files import write_safetensors

from harness.models.headers import TensorInfo, read_folder, read_header


def test_a_header_equals_what_the_library_reads(tmp_path):
    import numpy
    from safetensors.numpy import save_file

    tensors = {
        "a": numpy.zeros((2, 3), numpy.float32),
        "b": numpy.ones(5, numpy.float16),
        "empty": numpy.zeros((0, 4), numpy.int8),
    }
    save_file(tensors, tmp_path / "x.safetensors", {"note": "metadata is no tensor"})
    expected = {"a": TensorInfo("F32", (2, 3)), "b": TensorInfo("F16", (5,)), "empty": TensorInfo("I8", (0, 4))}
    assert read_header(tmp_path / "x.safetensors") == expected


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"1234",
        b"not a safetensors file at all",
        struct.pack("<Q", 2**60) + b"{}",
        struct.pack("<Q", 5) + b"{'a':}",
        struct.pack("<Q", 4) + b"null",
        struct.pack("<Q", 10) + b'{"a": "b"}',
        struct.pack("<Q", 10) + b'{"a": {} }',
    ],
)
def test_not_safetensors(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_a_file_of_the_wrong_length(tmp_path, change):
    file = tmp_path / "x.safetensors"
    write_safetensors(file, {"a": (4, 4)})
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match=r"x\.safetensors: the file has \d+ bytes, its header promises \d+"):
        read_folder(tmp_path)


def test_a_folder_of_shards(tmp_path):
    write_safetensors(tmp_path / "model-1.safetensors", {"a": (1,)})
    write_safetensors(tmp_path / "model-2.safetensors", {"b": (2,)})
    assert read_folder(tmp_path) == {"a": TensorInfo("F32", (1,)), "b": TensorInfo("F32", (2,))}
