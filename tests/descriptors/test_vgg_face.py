"""VGG-Face read from files of MatConvNet's two layouts, and its forward pass against PyTorch's VGG-16."""

import jax
import numpy as np
import pytest
from scipy.io import savemat

from au_jax.descriptors import vgg_face
from au_jax.descriptors.vgg_face import BLOCKS, LAYERS, make_vgg_face, read_vgg_face
from au_jax.errors import UserError

AVERAGE = np.array([129.1863, 104.7624, 93.5940], np.float32)


def random_params(widths, window, seed=0):
    rng, channels, params = np.random.default_rng(seed), 3, {}
    for name, width in zip(LAYERS, widths, strict=True):
        side = {"fc6": window, "fc7": 1}.get(name, 3)
        shape = (side, side, channels, width)
        # He scaling keeps the signal alive over sixteen layers.
        kernel = rng.normal(size=shape) * np.sqrt(2.0 / (side * side * channels))
        params[name] = {
            "kernel": kernel.astype(np.float32),
            "bias": rng.normal(size=width).astype(np.float32) * np.float32(0.1),
        }
        channels = width
    return params


def write(path, params, oxford=True, drop=()):
    """A file of the public layout: a cell array of structs, one per layer, with ReLUs, poolings, dropout and softmax."""
    structs = []
    for name in [*LAYERS, "fc8"]:
        if name in drop:
            continue
        layer = params.get(name) or {
            "kernel": np.zeros((1, 1, params["fc7"]["kernel"].shape[3], 5), np.float32),
            "bias": np.zeros(5, np.float32),
        }
        weights = np.empty((1, 2), object)
        weights[0, 0], weights[0, 1] = layer["kernel"], layer["bias"][None]
        pad = 1.0 if name.startswith("conv") else 0.0
        structs.append({"name": name, "type": "conv", "weights": weights, "stride": 1.0, "pad": pad})
        if name != "fc8":
            structs.append({"name": f"relu{name[-3:]}", "type": "relu"})
        if name.startswith("conv") and int(name[-1]) == BLOCKS[int(name[4]) - 1]:
            structs.append({"name": f"pool{name[4]}", "type": "pool", "pool": np.array([[2.0, 2.0]]), "stride": 2.0})
        if name in ("fc6", "fc7"):
            structs.append({"name": f"dropout{name[-1]}", "type": "dropout", "rate": 0.5})
    structs.append({"name": "prob", "type": "softmax"})
    layers = np.empty((1, len(structs)), object)
    for index, struct in enumerate(structs):
        layers[0, index] = struct
    normalization = {"averageImage": AVERAGE.reshape(1, 1, 3), "imageSize": np.array([[224.0, 224.0, 3.0]])}
    if oxford:
        savemat(path, {"net": {"normalization": normalization, "layers": layers, "classes": {"name": "nobody"}}})
    else:
        savemat(path, {"layers": layers, "meta": {"normalization": normalization, "classes": {"name": "nobody"}}})


@pytest.mark.parametrize("oxford", [True, False])
def test_both_public_layouts_are_read(tmp_path, oxford):
    params = random_params([4, 5, 4, 3, 4, 4, 5, 4, 4, 4, 4, 4, 6, 8, 9], window=2)
    write(tmp_path / "vgg_face.mat", params, oxford)
    weights = read_vgg_face(tmp_path / "vgg_face.mat")
    jax.tree.map(np.testing.assert_array_equal, weights.params, params)
    np.testing.assert_array_equal(weights.average, AVERAGE)
    assert weights.side == 64
    faces = np.random.default_rng(0).integers(0, 256, (2, 30, 30, 3), dtype=np.uint8)
    descriptors = jax.jit(lambda faces: vgg_face.vgg_face(weights, faces))(jax.numpy.asarray(faces))
    assert descriptors.shape == (2, 9)
    np.testing.assert_allclose(np.linalg.norm(descriptors, axis=1), 1.0, rtol=1e-5)


def test_forward_pass_agrees_with_torch_at_224_px():
    torch = pytest.importorskip("torch")
    torch.set_num_threads(2)
    # VGG-16's widths, divided by eight.
    widths = [8, 8, 16, 16, 32, 32, 32, 64, 64, 64, 64, 64, 64, 96, 80]
    params = random_params(widths, window=7, seed=1)
    images = np.random.default_rng(2).uniform(-128, 127, (2, 224, 224, 3)).astype(np.float32)
    network = make_vgg_face(vgg_face.VggFaceWeights(params, AVERAGE))
    fc7, out = jax.jit(network.apply)({"params": params}, images)

    x = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    names = iter(LAYERS)
    with torch.no_grad():
        for number in BLOCKS:
            for _ in range(number):
                x = torch.relu(torch.nn.functional.conv2d(x, *_torch(torch, params[next(names)]), padding=1))
            x = torch.nn.functional.max_pool2d(x, 2)
        # torchvision's classifier: linear layers on the flattened maps.
        for name in names:
            kernel, bias = _torch(torch, params[name])
            x = torch.relu(torch.nn.functional.linear(x.flatten(1), kernel.flatten(1), bias))
            scale = float(x.max())
            np.testing.assert_allclose(np.asarray(out[name])[:, 0, 0] / scale, x.numpy() / scale, atol=1e-4)
        x = torch.nn.functional.normalize(x)
    np.testing.assert_allclose(fc7, x.numpy(), atol=1e-4)
    assert np.abs(np.asarray(fc7[0] - fc7[1])).max() > 1e-2  # the images make a difference


def _torch(torch, layer):
    return torch.tensor(layer["kernel"].transpose(3, 2, 0, 1).copy()), torch.tensor(layer["bias"])


def test_vgg_16_has_the_published_number_of_weights():
    widths = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 4096, 4096)
    network = vgg_face.VggFace(widths, window=7)
    shapes = jax.eval_shape(network.init, jax.random.key(0), np.zeros((1, 224, 224, 3), np.float32))
    # 138,357,544 of VGG-16 less its 1000 logits.
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == 138_357_544 - 4_097_000


def test_faces_are_brought_to_the_networks_side_and_centred():
    params = random_params([4] * 13 + [5, 6], window=1, seed=3)
    weights = vgg_face.VggFaceWeights(params, AVERAGE)
    flat = np.broadcast_to(np.array([10, 200, 90], np.uint8), (1, 72, 72, 3))
    centred = np.broadcast_to(flat[0, 0, 0].astype(np.float32) - AVERAGE, (1, 32, 32, 3))
    expected, _ = jax.jit(make_vgg_face(weights).apply)({"params": params}, jax.numpy.asarray(centred))
    found = jax.jit(lambda faces: vgg_face.vgg_face(weights, faces))(jax.numpy.asarray(flat))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_what_is_not_vgg_face_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist; get vgg_face.mat .* https://www.robots.ox.ac.uk"):
        read_vgg_face(tmp_path / "none.mat")
    (tmp_path / "text.mat").write_text("no weights here, only words that go on for a while" * 5)
    with pytest.raises(UserError, match="text.mat is no MATLAB file"):
        read_vgg_face(tmp_path / "text.mat")
    savemat(tmp_path / "other.mat", {"x": np.ones(3)})
    with pytest.raises(UserError, match="other.mat has not the layout"):
        read_vgg_face(tmp_path / "other.mat")
    params = random_params([4] * 13 + [5, 6], window=1)
    write(tmp_path / "short.mat", params, drop=("conv4_2",))
    with pytest.raises(UserError, match="short.mat has no layer conv4_2"):
        read_vgg_face(tmp_path / "short.mat")
    params["conv3_1"]["kernel"] = params["conv3_1"]["kernel"][:, :, :3]
    write(tmp_path / "bent.mat", params)
    with pytest.raises(
        UserError, match="bent.mat: layer conv3_1 has weights .3, 3, 3, 4. and 4 biases where 3 x 3 x 4"
    ):
        read_vgg_face(tmp_path / "bent.mat")
