"""The small models of tests/io/onnx_models.zip: `python tools/onnx_models.py`, with torch, onnxscript and skl2onnx.

One of each family, exported by both exporters of PyTorch for any batch, some also for a batch of 1, and classifiers
of scikit-learn. Random weights, without what exporters write about themselves.
"""

import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier, MLPRegressor
from torch import nn

OUTPUT = Path(__file__).parents[1] / "tests" / "io" / "onnx_models.zip"
FOR_ONE_ROW = (
    "resnet-ts",
    "encoder-ts",
    "lstm-ts",
    "unet-ts",
    "encoder_seqfirst-dynamo",
    "shuffle-dynamo",
    "vit-dynamo",
)
warnings.filterwarnings("ignore")
torch.manual_seed(0)


class Residual(nn.Module):
    def __init__(self, c, o, s):
        super().__init__()
        self.conv1 = nn.Conv2d(c, o, 3, s, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.short = (
            nn.Sequential(nn.Conv2d(c, o, 1, s, bias=False), nn.BatchNorm2d(o)) if s > 1 or c != o else nn.Identity()
        )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + self.short(x))


class Inverted(nn.Module):
    def __init__(self, c, o, s):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(c, 4 * c, 1, bias=False),
            nn.BatchNorm2d(4 * c),
            nn.ReLU6(),
            nn.Conv2d(4 * c, 4 * c, 3, s, 1, groups=4 * c, bias=False),
            nn.BatchNorm2d(4 * c),
            nn.ReLU6(),
            nn.Conv2d(4 * c, o, 1, bias=False),
            nn.BatchNorm2d(o),
        )
        self.same = s == 1 and c == o

    def forward(self, x):
        y = self.body(x)
        return x + y if self.same else y


class Squeeze(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.fc1 = nn.Conv2d(c, c // 2, 1)
        self.fc2 = nn.Conv2d(c // 2, c, 1)

    def forward(self, x):
        s = F.adaptive_avg_pool2d(x, 1)
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(s))))


class DenseBlock(nn.Module):
    def __init__(self, c, k, n):
        super().__init__()
        self.parts = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c + i * k), nn.ReLU(), nn.Conv2d(c + i * k, k, 3, 1, 1, bias=False))
            for i in range(n)
        )

    def forward(self, x):
        for p in self.parts:
            x = torch.cat([x, p(x)], 1)
        return x


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.d1 = nn.Conv2d(3, 4, 3, 1, 1)
        self.d2 = nn.Conv2d(4, 8, 3, 1, 1)
        self.m = nn.Conv2d(8, 8, 3, 1, 1)
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.u1 = nn.Conv2d(16, 4, 3, 1, 1)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        a = F.relu(self.d1(x))
        b = F.relu(self.d2(F.max_pool2d(a, 2)))
        c = F.relu(self.m(F.max_pool2d(b, 2)))
        y = F.relu(self.u1(torch.cat([self.up(c), b], 1)))
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(torch.cat([y, a], 1))


class Recurrent(nn.Module):
    def __init__(self, kind, bi, last=False):
        super().__init__()
        self.rnn = kind(5, 6, 2, batch_first=True, bidirectional=bi)
        self.fc = nn.Linear(6 * (1 + bi), 3)
        self.last = last

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.fc(y[:, -1] if self.last else y)


class SeqFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(5, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        _, h = self.rnn(x)
        return self.fc(h[0])


class Encoder(nn.Module):
    def __init__(self, first=True):
        super().__init__()
        self.emb = nn.Embedding(11, 8)
        self.pos = nn.Parameter(torch.randn(7, 8))
        self.enc = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16, batch_first=first, activation="gelu"), 2, enable_nested_tensor=False
        )
        self.fc = nn.Linear(8, 3)
        self.first = first

    def forward(self, t):
        x = self.emb(t) + self.pos
        if not self.first:
            x = x.transpose(0, 1)
        x = self.enc(x)
        if not self.first:
            x = x.transpose(0, 1)
        return self.fc(x.mean(1))


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.o = nn.Linear(8, 8)
        self.n = nn.LayerNorm(8)
        self.register_buffer("mask", torch.triu(torch.full((6, 6), float("-inf")), 1))

    def forward(self, x):
        B, T, D = x.shape
        q, k, v = self.qkv(self.n(x)).chunk(3, -1)
        q, k, v = (z.view(B, T, 2, 4).transpose(1, 2) for z in (q, k, v))
        a = (q @ k.transpose(-1, -2)) / 2.0 + self.mask
        y = (a.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D)
        return x + self.o(y)


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(4, 8, 1, groups=2)
        self.b = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.c = nn.Conv2d(8, 4, 1, groups=2)
        self.s = nn.ChannelShuffle(2)

    def forward(self, x):
        n, _, h, w = x.shape
        y = self.a(x)
        y = y.view(n, 2, 4, h, w).transpose(1, 2).reshape(n, 8, h, w)
        return x + self.c(self.b(y))


class Misc(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.PReLU(4)
        self.gn = nn.GroupNorm(2, 4)
        self.inorm = nn.InstanceNorm2d(4, affine=True)
        self.ps = nn.PixelShuffle(2)
        self.c1 = nn.Conv1d(6, 4, 3, padding=1)

    def forward(self, x):
        y = self.inorm(self.gn(self.p(x)))
        y = F.avg_pool2d(y, 3, 2, 1, ceil_mode=True) + F.max_pool2d(y, 3, 2, 1, ceil_mode=True)
        y = self.ps(F.silu(y))
        y = F.pad(y, (1, 0, 2, 1), mode="reflect")
        return y.mean(dim=(2, 3)), y.amax(1), F.normalize(y.flatten(1), dim=1)


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.cls = nn.Parameter(torch.randn(1, 1, 8))
        self.pos = nn.Parameter(torch.randn(1, 10, 8))
        self.l = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.n = nn.LayerNorm(8)
        self.h = nn.Linear(8, 3)

    def forward(self, x):
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.cls.expand(x.shape[0], -1, -1), t], 1) + self.pos
        return self.h(self.n(self.l(t))[:, 0])


img = torch.randn(2, 3, 16, 16)
models = {
    "mlp": (
        nn.Sequential(
            nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.GELU(), nn.Dropout(0.1), nn.Linear(8, 3), nn.Softmax(-1)
        ),
        torch.randn(2, 4),
    ),
    "lenet": (
        nn.Sequential(
            nn.Conv2d(1, 4, 5, padding=2),
            nn.Sigmoid(),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 5),
            nn.Tanh(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 10),
            nn.ReLU(),
            nn.Linear(10, 10),
            nn.LogSoftmax(1),
        ),
        torch.randn(2, 1, 16, 16),
    ),
    "resnet": (
        nn.Sequential(
            nn.Conv2d(3, 4, 7, 2, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            Residual(4, 4, 1),
            Residual(4, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 3),
        ),
        torch.randn(2, 3, 32, 32),
    ),
    "mobilenet": (
        nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1, bias=False),
            nn.BatchNorm2d(4),
            nn.Hardswish(),
            Inverted(4, 4, 1),
            Squeeze(4),
            Inverted(4, 6, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(6, 3),
        ),
        img,
    ),
    "densenet": (
        nn.Sequential(
            nn.Conv2d(3, 4, 3, 1, 1),
            DenseBlock(4, 3, 3),
            nn.BatchNorm2d(13),
            nn.ReLU(),
            nn.Conv2d(13, 6, 1),
            nn.AvgPool2d(2),
            DenseBlock(6, 3, 2),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 3),
        ),
        img,
    ),
    "unet": (UNet(), img),
    "lstm": (Recurrent(nn.LSTM, False), torch.randn(2, 7, 5)),
    "bilstm": (Recurrent(nn.LSTM, True, True), torch.randn(2, 7, 5)),
    "gru": (Recurrent(nn.GRU, True), torch.randn(2, 7, 5)),
    "rnn": (Recurrent(nn.RNN, False), torch.randn(2, 7, 5)),
    "gru_seqfirst": (SeqFirst(), torch.randn(7, 2, 5)),
    "encoder": (Encoder(), torch.randint(0, 11, (2, 7))),
    "encoder_seqfirst": (Encoder(False), torch.randint(0, 11, (2, 7))),
    "causal": (Causal(), torch.randn(2, 6, 8)),
    "shuffle": (Shuffle(), torch.randn(2, 4, 6, 6)),
    "misc": (Misc(), torch.randn(2, 4, 9, 9)),
    "vit": (ViT(), torch.randn(2, 3, 12, 12)),
}


def export(folder):
    for name, (model, x) in models.items():
        model.eval()
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.3)
                part.running_var.uniform_(0.5, 2)
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_(0, 0.2)
        if name in ("encoder", "encoder_seqfirst", "vit"):  # copies begin alike, and an exporter may join them
            for parameter in model.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
        axis = 1 if name == "gru_seqfirst" else 0
        for dynamic in (True, False):
            rows = x if dynamic else x.narrow(axis, 0, 1).contiguous()
            for style in ("ts", "dynamo"):
                if not dynamic and f"{name}-{style}" not in FOR_ONE_ROW:
                    continue
                path = folder / f"{name}-{style}-{'dyn' if dynamic else 'b1'}.onnx"
                if style == "ts":
                    open_axes = {"x": {axis: "batch"}} if dynamic else None
                    options = {"input_names": ["x"], "dynamic_axes": open_axes, "opset_version": 17}
                    torch.onnx.export(model, (rows,), path, dynamo=False, **options)
                else:
                    shapes = ({axis: torch.export.Dim("batch", min=1, max=1000)},) if dynamic else None
                    torch.onnx.export(model, (rows,), dynamo=True, verbose=False, dynamic_shapes=shapes).save(path)


def export_scikit_learn(folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 4)).astype("float32")
    y = (x[:, 0] > 0) + 2 * (x[:, 1] > 0)
    for name, model in {
        "skl_classifier": MLPClassifier((6,), max_iter=20).fit(x, y),
        "skl_binary": MLPClassifier((6,), max_iter=20).fit(x, x[:, 0] > 0),
        "skl_strings": MLPClassifier((6,), max_iter=20).fit(x, np.array(list("abcd"))[y]),
        "skl_regressor": MLPRegressor(hidden_layer_sizes=(6, 5), max_iter=20).fit(x, x[:, 0]),
    }.items():
        options = {"zipmap": name != "skl_binary"} if "regressor" not in name else None
        (folder / f"{name}.onnx").write_bytes(to_onnx(model, x[:1], options=options).SerializeToString())


def stripped(path):
    model = onnx.load(path)
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    for message in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del message.metadata_props[:]
        message.doc_string = ""
    return model.SerializeToString()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made, zipfile.ZipFile(OUTPUT, "w", zipfile.ZIP_DEFLATED) as archive:
        export(Path(made))
        export_scikit_learn(Path(made))
        for path in sorted(Path(made).glob("*.onnx")):
            archive.writestr(zipfile.ZipInfo(path.name, (1980, 1, 1, 0, 0, 0)), stripped(path), zipfile.ZIP_DEFLATED)
