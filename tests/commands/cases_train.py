"""Bad input to `dsr_tf.train` (and to commands that take its flags).

Paths are relative to the folder that `world` makes.
"""

# Values that a flag refuses by itself, whatever the others are.
VALUES = {
    "epochs": ("0", "-1", "ten", "1.5", "nan", "", "1e2", "99999999999"),
    "batch_size": ("0", "-5", "1437.5", "x", "99999999999", "1438"),
    "sparsity": ("1", "-0.1", "90%", "nan", "inf", "", "0.99999"),
    "learning_rate": (
        *("inf", "-inf", "nan", "0", "-0.1", "fast", "", "1e39", "1e999"),
        *("0:0.1,0:0.2", "5:0.1", "0:0.1,x:0.2", "0:0.1,5", "0:0.1,-5:0.2"),
        *("0:1,99999999999:2", "0:inf", "{0:1}"),
    ),
    "temperature": ("inf", "-1", "0:1,0:2", "cold"),
    "period": (
        *("0", "1.5", "inf", "0:100,0:50", "5:100", "99999999999", "1e10"),
        *("automatic", "0:auto"),
    ),
    "momentum": ("1", "-0.1", "nan", "x"),
    "optimizer": ("adam", "SGD", ""),
    "weight_decay": ("-1", "inf", "nan", "0.1"),
    "l1": ("-1", "inf", "nan", "1e39"),
    "l2": ("-1", "inf", "x"),
    "tolerance": ("1", "-0.1", "nan"),
    "initial_threshold": ("0", "-1", "inf"),
    "num_reallocated": (
        *("0", "-1", "1.5", "99999999999", "5020", "2147483647"),
        *("0.0", "1.0", "nan", "-0.1", "0.99999"),
    ),
    "fraction": ("0", "1", "nan"),
    "fraction_end_epoch": ("0", "-1", "x"),
    "stop_epoch": ("-1", "x", "99999999999"),
    "warmup_epochs": ("-1", "inf", "1e30"),
    "label_smoothing": ("1", "-0.1"),
    "schedule_scale": ("0", "-1", "inf", "1e308", "1e38", "1e9", "x"),
    "seed": ("-1", "1.5", "2147483647", "99999999999"),
    "width": ("0", "-1", "nan", "inf", "1e7", "1e30", "20000"),
    "image_size": ("0", "-1", "9", "2000000000", "1e3"),
    "model": ("vgg", ""),
    "depth": ("0", "1.5", "x", "20"),
    "initial_gamma": ("0", "-1", "nan"),
    "method": ("rigged", ""),
    "strategy": ("tpus", "tpu", "multi_worker"),
    "granularity": ("x", "", "block:0x1", "block:0", "block:7x7", "4:4"),
    "storage": ("x", "", "blocks", "rows"),
    "slack": ("0.9", "nan", "x", "2"),
    "distribution": ("x", "", "fc1:", "fc1:2", "(:0.5", "fc1:nan", "fc1:0.1"),
    "keep_dense": ("(", "[", "*", "fc", ""),
    "augmentation": ("cut", ""),
    "mixed_precision": ("int8", ""),
    "initial_weights": ("old", "original"),
    "jit_compile": ("maybe", "2"),
    "resume": ("maybe",),
    "nesterov": ("maybe",),
    "steps_per_execution": ("-1", "x", "5", "99999"),
    "checkpoint_every_steps": ("-1", "x"),
    "checkpoints_to_keep": ("0", "x"),
    "parameter_budget": ("0", "-1", "x", "1.5", "99999999999999999999"),
    "mac_budget": ("0", "-1", "x", "1.5", "99999999999999999999"),
    "keep_share": (
        *("0", "1.1", "-0.1", "nan", "x", "", "fc1:", "fc1:2", "(:0.5"),
        "fc1:0.5,fc1:0.6",
    ),
    "penalty": ("0", "-1", "nan", "x"),
    "penalty_groups": ("", "x", "channel,", "channel,channel"),
    "num_examples": ("0", "-1", "x"),
    "num_places": ("0", "-1", "x"),
    "thinet_rule": ("first", ""),
    "energy": ("0", "1.1", "nan", "x", ""),
    "narrow": ("maybe",),
    "phase": ("first", "", "narrow", "penalty"),
    "dataset": (
        *("", "no_such_set", "../run", "run", "[/b]", "digits:1.0.0", "file"),
    ),
    "initial_checkpoint": (
        *("nothing", "file", "full", "run/summary.json", "{dense}", "dangling"),
        *("models/words.keras", "models/cut.keras", "models/empty.keras"),
        *("models/folder.keras", "models/two_classes.keras", "images/good"),
    ),
    "copy_masks_from": (
        *("nothing", "full", "models/words.keras", "models/two_classes.keras"),
    ),
    "output_dir": ("file", "full", "", "a[b]", "a[/b]", "a*", "run"),
    "flagfile": (
        *("nothing", "flags", "", "flags/words.flags", "flags/bytes.flags"),
        *("flags/large.flags", "dangling", "/dev/zero"),
    ),
}

# Several flags, and what the sentence says.
TOGETHER = [
    ("--epochs=1", "--output_dir is required"),
    ("digits", "unexpected argument 'digits'"),
    ("-- digits", "unexpected argument 'digits'"),
    ("-", "unexpected argument '-'"),
    ("--", "--output_dir is required"),
    ("--epoch=3", "Unknown command line flag 'epoch'; did you mean --epochs?"),
    ("--flagfil=x", "'flagfil'; did you mean --flagfile?"),
    ("--learning-rate=1", "'learning-rate'; did you mean --learning_rate?"),
    ("--nonsense", "Unknown command line flag 'nonsense'"),
    ("--noepochs", "Unknown command line flag 'noepochs'"),
    ("--flagfile=flags/loop.flags", "loop.flags: the file includes itself"),
    ("--flagfile=flags/many0.flags", "include each other 100 times in all"),
    ("--flagfile=flags/zero.flags", "--output_dir: must not hold a zero byte"),
    ("--flagfile=flags/unknown.flags", "'epoch'; did you mean --epochs?"),
    ("--flagfile=flags/wrong.flags", "--sparsity=2: must be a number"),
    ("--data_dir=a\udcff", "--data_dir: must be UTF-8 text"),
    ("--output_dir=a\udcff", "--output_dir: must be UTF-8 text"),
    ("--momentum=0", "--nesterov=true needs a momentum above 0"),
    (
        "--optimizer=adamw --momentum=0.5",
        "--momentum=0.5: needs --optimizer=sgd, not adamw",
    ),
    (
        "--optimizer=adamw --nonesterov",
        "--nesterov=false: needs --optimizer=sgd, not adamw",
    ),
    (
        "--optimizer=adamw --l2=0.1",
        "--l2=0.1: needs --optimizer=sgd, not adamw",
    ),
    (
        "--method=sss --optimizer=adamw",
        "--optimizer=adamw: the penalty of sss is a step of --optimizer=sgd",
    ),
    (
        "--model=vit --dataset=random --image_size=30",
        "--model=vit: Height and width of images of vit must be multiples of 4",
    ),
    ("--cosine --learning_rate=0:1,2:.1", "one number with --cosine"),
    ("--depth=20", "needs one of --model=resnet_cifar,vgg_cifar,conv_mixer,v"),
    (
        "--model=wrn_28_2 --nobatch_normalization",
        "--batch_normalization=false: needs one of --model=lenet_300_100,mlp, ",
    ),
    (
        "--model=lenet_5 --initial_gamma=0.5",
        "--initial_gamma=0.5: needs one of --model=lenet_300_100,wrn_28_2,",
    ),
    ("--model=vgg_cifar --depth=17", "--depth=17: must be one of 16, "),
    ("--model=resnet_cifar --depth=21", "--depth=21: must be 6 n + 2"),
    (
        "--model=lenet_5",
        "--model=lenet_5: Images of lenet_5 must have at least",
    ),
    (
        "--keep_dense=none --sparse_shortcuts",
        "--sparse_shortcuts=true: changes --keep_dense=paper",
    ),
    (
        "--storage=blocks",
        "--storage=blocks: 'blocks' is for matrices in blocks",
    ),
    (
        "--storage=lists --granularity=block:16",
        "--storage=lists: 'lists' is for matrices of single weights",
    ),
    (
        "--storage=auto --method=dense",
        "--storage=auto: needs a --method whose layers can store active",
    ),
    (
        "--storage=blocks --granularity=block:20 --method=deep_r",
        "--storage=blocks: DeepR looks at whole kernels in the training step",
    ),
    (
        "--storage=lists --jit_compile",
        "--jit_compile=true: XLA does not have the products of layers that",
    ),
    ("--slack=2", "--slack=2: is room beside active weights, and needs a"),
    ("--method=snfs --momentum=0 --nonesterov", "--optimizer=sgd: SNFS needs"),
    (
        "--method=deep_r --granularity=channel",
        "--granularity=channel: DeepR needs granularity 'element'",
    ),
    ("--granularity=2:4", "--sparsity=0.9: must be 0.5 with"),
    (
        "--granularity=2:4 --sparsity=0.5",
        "--granularity=2:4: DSR moves weights to anywhere",
    ),
    (
        "--granularity=2:4 --sparsity=0.5 --method=set --distribution=erk",
        "--distribution=erk: must be uniform with",
    ),
    (
        "--granularity=2:4 --method=gradual",
        "--pruning_hparams=: `target_sparsity`, or what",
    ),
    (
        "--granularity=2:4 --sparsity=0.5 --method=gradual "
        "--pruning_hparams=threshold_decay=0.5",
        "`threshold_decay` must be 0 where each bundle",
    ),
    ("--method=set --num_reallocated=5020", "--num_reallocated=5020: "),
    (
        "--method=thin --parameter_budget=5",
        "--parameter_budget=5: too few for lenet_300_100",
    ),
    (
        "--method=thin --parameter_budget=9000000000000000000",
        "--parameter_budget=9000000000000000000: training 9,000,000,000,000,",
    ),
    ("--narrow --method=dense", "--narrow=true: needs a --method with masks"),
    (
        "--copy_masks_from=run --method=dense",
        "--copy_masks_from=run: needs a --method with masks, not dense",
    ),
    (
        "--copy_masks_from=models/cut.keras --initial_weights=original",
        "must be the folder of a finished run for --initial_weights",
    ),
    (
        "--copy_masks_from=runs/list --initial_weights=original",
        "--copy_masks_from=runs/list: runs/list/summary.json is damaged",
    ),
    (
        "--initial_checkpoint=run --width=0.5",
        "--initial_checkpoint=run: is not of the network lenet_300_100",
    ),
    (
        "--initial_checkpoint=run --nobatch_normalization",
        "--initial_checkpoint=run: is not of the network lenet_300_100",
    ),
    (
        "--strategy=mirrored --mixed_precision=float16",
        "--mixed_precision=float16: scales the loss on one device",
    ),
    (
        "--strategy=mirrored --batch_size=75",
        "--batch_size=75: must be divisible by the 2 replicas",
    ),
    (
        "--dataset=random --image_size=2000000000",
        "--image_size=2000000000: 13,056 images of noise would take too many",
    ),
    (
        "--dataset=random --image_size=100000",
        "--image_size=100000: 13,056 images of noise would take 391,680 GB",
    ),
    (
        "--schedule_scale=0.01 --method=gradual "
        "--pruning_hparams=begin_pruning_step=60,end_pruning_step=40",
        "--pruning_hparams=begin_pruning_step=60,end_pruning_step=40: ",
    ),
    (
        "--method=rnn_pruning --pruning_hparams=q=-1",
        "--pruning_hparams=q=-1: `q` must be a number of at least 0",
    ),
    (
        "--method=rnn_pruning --pruning_hparams=q=1,end=2",
        "--pruning_hparams=q=1,end=2: `end` must not be before ramp",
    ),
    (
        "--method=std_threshold --pruning_hparams=quality=[x:1]",
        "--pruning_hparams=quality=[x:1]: `quality` must name kernels",
    ),
    (
        "--method=std_threshold --pruning_hparams=quality=1 --granularity=2:4",
        "`granularity` must not be N:M where weights are pruned below",
    ),
    (
        "--method=nest --pruning_hparams=seed_width=0",
        "--pruning_hparams=seed_width=0: `seed_width` must be a number above",
    ),
    (
        "--method=nest --granularity=channel",
        "--granularity=channel: must be 'element' where single",
    ),
    ("--resume --output_dir=file", "is not a folder"),
]

# Of `--method=gradual`, beside which they are tried.
PRUNING = (
    "x",
    "target=1",
    "target_sparsity=2",
    "target_sparsity=nan",
    "begin_pruning_step=-1",
    "begin_pruning_step=99999999999999999999999",
    "pruning_frequency=0",
    "pruning_frequency=1.5",
    "end_pruning_step=-5",
    "block_height=0",
    "block_height=3",
    "block_pooling_function=MIN",
    "sparsity_function_exponent=0",
    "weight_sparsity_map=[fc1:2]",
    "weight_sparsity_map=[(:0.5]",
    "weight_sparsity_map=[fc1]",
    "weight_sparsity_map=[fc:0.5,fc1:0.5]",
)

# Of `--dataset=small`: the damage, and what the sentence says.
RECORDS = {
    "nothing": "There is no data set 'small'",
    "file": "There is no data set 'small'",
    "corrupt": "cannot be read (",
    "truncated": "cannot be read (",
    "empty": "expected to contain 20 elements but contained only 0",
    "missing": "is missing",
    "no_info": "'small'",
    "bad_info": "'small'",
    "no_features": "'small'",
    "bad_features": "'small'",
    "more": "expected to contain 21 elements but contained only 20",
    "fewer": "expected to contain 19 elements but contained at least 20",
    "none": "has no images in its split 'train'",
    "classes": "The labels of 'small' must be from 0 to 2",
    "words": "'small'",
}

# Of `--dataset=image_folder`.
IMAGES = {
    "images/nothing": "needs the folders train/ and test/",
    "file": "needs the folders train/ and test/",
    "images/no_test": "needs the folders train/ and test/",
    "images/empty": "has no folders with images",
    "images/strange": "has the class 'dog', which train/ has not",
    "images/dangling": "2.png is no file that can be read",
    "images/folder": "2.png is no file that can be read",
}
