"""The published data sets: how many rows the readers take of them, how large they are, where they are had.

Sizes are those of the archives, in bytes, to two digits: what has to be downloaded. Texts are prompts for classes
(80 or 18 templates of protocol standard and the paper's one, for each class), at most five captions an image, or
for questions the most there can be: every question with every answer of the list.
"""

from typing import NamedTuple

GB = 1e9


class Published(NamedTuple):
    """One data set, as its reader takes it."""

    images: int
    texts: int
    questions: int
    size: float
    page: str


SETS = {
    # README of the data set on the hub: 558,128 pairs; images.zip is 26 GiB.
    "llava": Published(
        558_128, 558_128, 0, 27 * GB, "https://huggingface.co/datasets/liuhaotian/LLaVA-Pretrain"
    ),
    # ILSVRC2012_img_val.tar: 50,000 images, 6.3 GiB; 1,000 classes × 81 prompts.
    "imagenet": Published(50_000, 81_000, 0, 6.7 * GB, "https://image-net.org/download-images.php"),
    # cifar-100-python.tar.gz: 10,000 test images; 100 classes × 19 prompts.
    "cifar100": Published(10_000, 1_900, 0, 0.17 * GB, "https://www.cs.toronto.edu/~kriz/cifar.html"),
    # Karpathy's 5,000 test images of val2014 (a zip of 6.6 GB) and the 5,000 of val2017 (0.8 GB).
    "coco": Published(10_000, 50_000, 0, 7.7 * GB, "https://cocodataset.org/#download"),
    # Flickr8k_Dataset.zip: 8,091 images, of which 1,000 are the test split.
    "flickr8k": Published(1_000, 5_000, 0, 1.1 * GB, "https://hockenmaier.cs.illinois.edu/8k-pictures.html"),
    # val2014 again, which a link to COCO's saves; 5,046 val questions on 5,033 of its images.
    "okvqa": Published(5_033, 0, 5_046, 6.6 * GB, "https://okvqa.allenai.org/download.html"),
    # 5,000 val questions on 3,166 images; they lie in train_val_images.zip.
    "textvqa": Published(3_166, 0, 5_000, 7.1 * GB, "https://textvqa.org/dataset/"),
}
