"""The paper's two networks in PyTorch, for side-by-side timing in `experiments.benchmark`; needs the extra `bench`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from au_jax.models.cnn import CNN_VARIANTS, Conv, Dense, Norm, Pool


def device() -> torch.device:
    """The GPU where PyTorch has one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def synchronize() -> None:
    """Waits for the GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def cnn(variant: str, crop: int) -> nn.Sequential:
    """The layers of `au_jax.models.cnn.CNN_VARIANTS`, pooled as Caffe does, with two groups, dropout and 12 logits."""
    layers, channels = [], 3
    for layer in CNN_VARIANTS[variant].layers:
        match layer:
            case Conv():
                groups = 2 if layer.grouped else 1
                layers += [
                    nn.Conv2d(channels, layer.channels, layer.kernel, layer.stride, layer.padding, groups=groups)
                ]
                layers += [nn.ReLU()]
                channels = layer.channels
            case Pool():
                layers += [nn.MaxPool2d(layer.window, layer.stride, ceil_mode=True)]
            case Norm():
                layers += [nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k)]
            case Dense():
                if layer.name == "fc6":
                    layers += [nn.Flatten()]
                    channels = nn.Sequential(*layers)(torch.zeros(1, 3, crop, crop)).shape[1]
                layers += [nn.Linear(channels, layer.features), nn.ReLU(), nn.Dropout()]
                channels = layer.features
    return nn.Sequential(*layers, nn.Linear(channels, 12)).to(device())


class LSTM(nn.Module):
    """Stacked LSTMs with dropout on all connections but the recurrent ones, and a tanh readout."""

    def __init__(self, inputs: int, hidden: int, layers: int):
        super().__init__()
        self.drop = nn.Dropout()
        self.lstm = nn.LSTM(inputs, hidden, layers, batch_first=True, dropout=0.5)
        self.readout = nn.Linear(hidden, 12)
        self.to(device())

    def forward(self, features: torch.Tensor, state=None):
        """Features [B, T, D] -> scores [B, T, 12], state."""
        hidden, state = self.lstm(self.drop(features), state)
        return torch.tanh(self.readout(self.drop(hidden))), state


def cnn_step(network: nn.Module, wait: bool = True) -> Callable[[np.ndarray | torch.Tensor, np.ndarray], None]:
    """An SGD update with momentum and weight decay: (images [B, c, c, 3] uint8, labels [B, 12] int8 in host memory).

    Args:
      network: as `cnn` makes it.
      wait: for the update's end; without, updates are queued.
    """
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)

    def step(images: np.ndarray | torch.Tensor, labels: np.ndarray) -> None:
        logits = network(pixels(images))
        target = (torch.from_numpy(labels).to(device()) > 0).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(images)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if wait:
            synchronize()

    return step


def lstm_step(network: nn.Module) -> Callable[[np.ndarray, np.ndarray], None]:
    """An RMSprop update on the margin loss, gradients clipped: (features [B, T, D], labels [B, T, 12]) in host memory."""
    optimizer = torch.optim.RMSprop(network.parameters(), lr=1e-3, alpha=0.95, momentum=0.9)

    def step(features: np.ndarray, labels: np.ndarray) -> None:
        scores, _ = network(torch.from_numpy(features).to(device()))
        target = torch.from_numpy(labels).to(device()).float()
        loss = torch.relu(0.5 - scores * target).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(network.parameters(), 5.0)
        optimizer.step()
        synchronize()

    return step


def pixels(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Images [B, c, c, 3] uint8, in host memory or on the device, as [B, 3, c, c] float32 on the device."""
    return torch.as_tensor(images).to(device()).permute(0, 3, 1, 2).float() - 128.0


@torch.inference_mode()
def infer(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Logits of images in host memory, there again."""
    return network(pixels(images)).float().cpu().numpy()


@torch.inference_mode()
def stream(network: nn.Module, features: np.ndarray) -> None:
    """Scores a sequence [1, T, D] frame by frame."""
    state = None
    for step in range(features.shape[1]):
        scores, state = network(torch.from_numpy(features[:, step : step + 1]).to(device()), state)
        scores.cpu()
