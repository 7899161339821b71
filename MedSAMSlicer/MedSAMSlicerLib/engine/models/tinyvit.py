"""TinyViT image encoder of MobileSAM and LiteMedSAM, for inference only.

Architecture: Wu et al., "TinyViT: Fast Pretraining Distillation for Small Vision Transformers", ECCV 2022; the
variant with a last stage without downsampling and SAM's neck is that of MobileSAM (Zhang et al., "Faster Segment
Anything", 2023); LiteMedSAM (Ma et al., "Segment anything in medical images", 2024; branch LiteMedSAM of the authors'
repository) embeds patches of a single pixel instead of 4 x 4. Parameter names are those of the authors' weights files.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from .network import LayerNorm2d

EMBED_DIMS = (64, 128, 160, 320)
DEPTHS = (2, 2, 6, 2)
HEADS = (2, 4, 5, 10)
WINDOWS = (7, 7, 14, 7)
# Spatial reduction at the end of each of the first three stages: 256 -> 128 -> 64 -> 64.
DOWNSAMPLING = (2, 2, 1)
EXPANSION = 4
OUT_CHANNELS = 256


class ConvNorm(nn.Module):
    """Convolution without bias, followed by batch normalization. `fold` merges the two for inference."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.c: nn.Conv2d = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.bn: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.c(x))

    def fold(self) -> None:
        """Merge the normalization into the convolution. To be called after the weights are loaded."""
        if isinstance(self.bn, nn.BatchNorm2d):
            bn = self.bn
            assert bn.running_mean is not None and bn.running_var is not None
            self.c.weight, self.c.bias = fuse_conv_bn_weights(
                self.c.weight, self.c.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
            )
            self.bn = nn.Identity()


class PatchEmbedding(nn.Module):
    """Two convolutions, each with the given kernel and stride."""

    def __init__(self, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.seq = nn.Sequential(
            ConvNorm(3, outputs // 2, kernel, stride), nn.GELU(), ConvNorm(outputs // 2, outputs, kernel, stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.seq(x)


class InvertedBottleneck(nn.Module):
    """Block of the first stage (MBConv): expansion, depthwise convolution, projection, residual connection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = channels * EXPANSION
        self.conv1 = ConvNorm(channels, hidden)
        self.conv2 = ConvNorm(hidden, hidden, kernel=3, groups=hidden)
        self.conv3 = ConvNorm(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(x))))
        return F.gelu(self.conv3(hidden) + x)


class Downsample(nn.Module):
    """Downsampling between two stages."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, outputs)
        self.conv2 = ConvNorm(outputs, outputs, kernel=3, stride=stride, groups=outputs)
        self.conv3 = ConvNorm(outputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3(F.gelu(self.conv2(F.gelu(self.conv1(x)))))


def relative_offsets(window: int) -> Tensor:
    """Index of the relative position bias for each pair of tokens in a window.

    Pairs with the same absolute offsets along rows and columns share a bias. Offsets are numbered row by row.

    Returns:
        int64 (window^2, window^2).
    """
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    return (rows[:, None] - rows).abs() * window + (columns[:, None] - columns).abs()


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with a learned relative position bias."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.attention_biases = nn.Parameter(torch.zeros(heads, window * window))
        self.offsets: Tensor
        self.register_buffer("offsets", relative_offsets(window), persistent=False)
        self.bias: Tensor | None = None

    def fold(self) -> None:
        """Expand the biases to all pairs of tokens. To be called after the weights are loaded."""
        self.bias = self.attention_biases[:, self.offsets].detach()

    def forward(self, tokens: Tensor) -> Tensor:
        """(windows, tokens, channels) -> the same shape."""
        windows, count, channels = tokens.shape
        bias = self.attention_biases[:, self.offsets] if self.bias is None else self.bias
        # In the weights, q, k and v alternate within each head.
        qkv = self.qkv(self.norm(tokens)).view(windows, count, self.heads, 3, channels // self.heads)
        q, k, v = qkv.permute(3, 0, 2, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype).unsqueeze(0))
        return self.proj(attended.transpose(1, 2).reshape(windows, count, channels))

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        # The expanded bias follows the module to another device or precision.
        super()._apply(fn, recurse)
        if self.bias is not None:
            self.bias = fn(self.bias)
        return self


class FeedForward(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, channels * EXPANSION)
        self.fc2 = nn.Linear(channels * EXPANSION, channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(self.norm(x))))


class AttentionBlock(nn.Module):
    """Block of the later stages: window attention, 3x3 depthwise convolution, MLP."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.attn = WindowAttention(channels, heads, window)
        self.mlp = FeedForward(channels)
        self.local_conv = ConvNorm(channels, channels, kernel=3, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, height, width) -> the same shape."""
        x = x + self.attend(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = self.local_conv(x)
        return x + self.mlp(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def attend(self, x: Tensor) -> Tensor:
        """Window attention: (batch, height, width, channels) -> the same shape."""
        batch, height, width, channels = x.shape
        size = self.window
        # As in training, padding is not masked; normalization maps it to its bias.
        x = F.pad(x, (0, 0, 0, -width % size, 0, -height % size))
        down, across = x.shape[1] // size, x.shape[2] // size
        windows = x.view(batch, down, size, across, size, channels).transpose(2, 3)
        attended = self.attn(windows.reshape(-1, size * size, channels))
        attended = attended.view(batch, down, across, size, size, channels).transpose(2, 3)
        return attended.reshape(batch, down * size, across * size, channels)[:, :height, :width]


class Stage(nn.Module):
    def __init__(self, index: int) -> None:
        super().__init__()
        channels, heads, window = EMBED_DIMS[index], HEADS[index], WINDOWS[index]
        self.blocks = nn.Sequential(
            *(
                InvertedBottleneck(channels) if index == 0 else AttentionBlock(channels, heads, window)
                for _ in range(DEPTHS[index])
            )
        )
        self.downsample: nn.Module = nn.Identity()
        if index < len(DOWNSAMPLING):
            self.downsample = Downsample(channels, EMBED_DIMS[index + 1], DOWNSAMPLING[index])

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(self.blocks(x))


class TinyViT(nn.Module):
    """Image encoder: float32 (batch, 3, h, w) -> (batch, 256, h / p, w / p), p = 4 * `stride`^2 pixels per token.

    The default is LiteMedSAM's encoder for values in [0, 1], which was trained with 256 x 256 pixels. `mobile_sam` makes
    MobileSAM's. h and w may be any multiples of p.

    Args:
        kernel, stride: of both convolutions of the patch embedding.
        classes: number of classes of a classifier whose parameters are in the weights file. It is never run.
    """

    def __init__(self, kernel: int = 1, stride: int = 1, classes: int = 0) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(EMBED_DIMS[0], kernel, stride)
        self.layers = nn.Sequential(*(Stage(index) for index in range(len(EMBED_DIMS))))
        if classes:
            self.norm_head = nn.LayerNorm(EMBED_DIMS[-1])
            self.head = nn.Linear(EMBED_DIMS[-1], classes)
        self.neck = nn.Sequential(
            nn.Conv2d(EMBED_DIMS[-1], OUT_CHANNELS, 1, bias=False),
            LayerNorm2d(OUT_CHANNELS),
            nn.Conv2d(OUT_CHANNELS, OUT_CHANNELS, 3, padding=1, bias=False),
            LayerNorm2d(OUT_CHANNELS),
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.neck(self.layers(self.patch_embed(image)))

    def fold(self) -> TinyViT:
        """Merge normalizations into convolutions, expand the position biases and drop the classifier.

        To be called after the weights are loaded.
        """
        with torch.no_grad():
            for module in list(self.modules()):
                if isinstance(module, ConvNorm | WindowAttention):
                    module.fold()
        for name in ("norm_head", "head"):
            self._modules.pop(name, None)
        return self
