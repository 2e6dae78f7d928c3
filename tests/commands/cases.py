"""Bad input to the other commands, as in `cases_train`."""

_TRAIN = "--flagfiles=flags/dsr.flags --output_dir=new"

COMPARE = [
    ("", "--flagfiles is required"),
    ("--density=1", "'density'; did you mean --densities?"),
    ("--flagfiles=flags/dsr.flags", "--output_dir is required"),
    (f"{_TRAIN} --seed=3", "--seed: is set for each run; give --seeds"),
    (f"{_TRAIN} --sparsity=0.5", "--sparsity: is set for each run"),
    (f"{_TRAIN} --resume", "--resume: is set for each run"),
    (f"{_TRAIN} --seeds=1,1", "--seeds=1,1: 1 is there twice"),
    (f"{_TRAIN} --seeds=1,01", "--seeds=1,01: 1 is there twice"),
    (f"{_TRAIN} --seeds=one", "--seeds=one: must be an integer"),
    (f"{_TRAIN} --seeds=", "--seeds=: must be a list of values"),
    (f"{_TRAIN} --seeds=-1", "--seeds=-1: must be an integer"),
    (f"{_TRAIN} --seeds=2147483647", "--seeds=2147483647: must be an integer"),
    (f"{_TRAIN} --densities=0.1,0.10", "0.1 is there twice"),
    (f"{_TRAIN} --densities=0", "--densities=0: must be a number above 0"),
    (f"{_TRAIN} --densities=1e-13", "--densities=1e-13: must be a number"),
    (f"{_TRAIN} --densities=1.1", "--densities=1.1: must be a number above 0"),
    (f"{_TRAIN} --densities=nan", "--densities=nan: must be a number above 0"),
    (f"{_TRAIN} --densities=", "--densities=: must be a list of values"),
    (f"{_TRAIN} --parallel_runs=0", "--parallel_runs=0: must be an integer"),
    (f"{_TRAIN} --epochs=0", "--epochs=0: must be an integer"),
    (f"{_TRAIN} --learning_rate=inf", "--learning_rate=inf: must be"),
    (f"{_TRAIN} --initial_weights=original", "--initial_weights=original: "),
    (f"{_TRAIN} x", "unexpected argument 'x'"),
    (
        "--flagfiles=flags/dsr.flags,flags/dsr.flags --output_dir=new",
        "--flagfiles: dsr is there twice",
    ),
    ("--flagfiles=nothing.flags --output_dir=new", "nothing.flags: cannot be"),
    ("--flagfiles= --output_dir=new", "--flagfiles=: must be a list"),
    ("--flagfiles=flags/words.flags --output_dir=new", "must be a flag"),
    ("--flagfiles=flags/loop.flags --output_dir=new", "includes itself"),
    ("--flagfiles=flags/wrong.flags --output_dir=new", "--sparsity=2: must"),
    (
        "--flagfiles=flags/ticket.flags --output_dir=new",
        "a file dsr.flags must come before it",
    ),
    (
        "--flagfiles=flags/dsr[1].flags --output_dir=new",
        "--flagfiles=flags/dsr[1].flags: names a folder of --output_dir=new",
    ),
    *(
        (f"--flagfiles=flags/dsr.flags --output_dir={path}", message)
        for path, message in (
            ("file", "--output_dir=file: must be a folder"),
            ("file/below", "--output_dir=file/below: must be a folder"),
            ("dangling", "--output_dir=dangling: must be a folder"),
            ("dangling/below", "--output_dir=dangling/below: must be a folder"),
            ("x" * 300, "File name too long"),
            ("new/" + "x" * 300, "a name in it is longer than 255 bytes"),
            ("x/" * 3000, "--output_dir=x/x/"),
            ("a[/b]", "--output_dir=a[/b]"),
            ("run", "--output_dir=run: is the folder of a run"),
            ("begun", "--output_dir=begun: is the folder of a run"),
        )
    ),
]

# Damaged summaries: the folder, and what the sentence says.
SUMMARIES = {
    "empty": "is no JSON",
    "no_json": "is no JSON",
    "deep": "is no JSON",
    "binary": "is no JSON",
    "list": "holds a list, not the results of a run",
    "number": "holds a int, not the results of a run",
    "no_settings": "holds settings=None",
    "list_dataset": "holds settings={",
    "text_size": "holds settings={",
    "text_accuracy": "holds test_accuracy=high",
    "large_accuracy": "holds test_accuracy=2",
    "nan_accuracy": "holds best_test_accuracy=nan",
    "list_method": "holds method=[]",
    "no_parameters": "holds num_parameters=0",
    "no_bytes": "holds saved_model_bytes=0",
    "no_time": "holds seconds_per_epoch=0",
    "text_kernels": "holds kernels=fc1",
    "no_kernel": "holds kernels=[1]",
    "no_size": "holds kernels=[{",
    "too_active": "holds kernels=[{",
    "folder": "cannot be read",
}

REPORT = [
    ("", "--run is required"),
    ("--run=", "--run=: must be a list of values"),
    ("--run=nothing", "--run=nothing: must be the folder of a finished run"),
    ("--run=file", "--run=file: must be the folder of a finished run"),
    ("--run=full", "--run=full: must be the folder of a finished run"),
    ("--run=runs/nothing", "was trained by an earlier version"),
    ("--run=run --runs=x", "'runs'; did you mean --run?"),
    ("--run=run x", "unexpected argument 'x'"),
    *(
        (f"--run=run --plot={path}", f"--plot={path}: {message}")
        for path, message in (
            ("x.xyz", "must end in one of ."),
            ("x", "must end in one of ."),
            ("nothing/x.png", "must be in a folder that exists"),
            ("file/x.png", "must be in a folder that exists"),
            ("x" * 300 + ".png", "its name is longer than 255 bytes"),
        )
    ),
    *(
        (f"--run=run --html={path}", f"--html={path}: {message}")
        for path, message in (
            ("x", "must end in .html"),
            ("nothing/x.html", "must be in a folder that exists"),
            ("x" * 300 + ".html", "its name is longer than 255 bytes"),
        )
    ),
    ("--run=run,run", "--run=run,run: run is there twice"),
    ("--run=run,run/", "--run=run,run/: run and run/ are the same folder"),
    ("--run=run,nothing", "--run=nothing: must be the folder of a finished"),
    ("--run=run,runs/binary", "--run=runs/binary: must be the folder of a"),
    *(
        (f"--run=runs/moves_{name}", f"--run=runs/moves_{name}: {message}")
        for name, message in (
            ("no_rows", "runs/moves_no_rows/reallocations.csv cannot be read"),
            ("no_file", "runs/moves_no_file/reallocations.csv cannot be read"),
            ("no_header", "runs/moves_no_header/reallocations.csv cannot be"),
            ("short", "runs/moves_short/reallocations.csv cannot be read"),
            ("words", "runs/moves_words/reallocations.csv cannot be read"),
            ("negative", "runs/moves_negative/reallocations.csv cannot be"),
            ("huge", "runs/moves_huge/reallocations.csv cannot be read"),
            ("bytes", "runs/moves_bytes/reallocations.csv cannot be read"),
            ("zeros", "runs/moves_zeros/reallocations.csv cannot be read"),
            ("backwards", "runs/moves_backwards/reallocations.csv cannot be"),
        )
    ),
]

EVALUATE = [
    ("", "--model is required"),
    ("--model=", "--model is required"),
    ("--model=,", "--model is required"),
    ("--modell=x", "'modell'; did you mean --model?"),
    ("--model=run x", "unexpected argument 'x'"),
    *(
        (f"--model={path} --dataset=digits", f"--model={path}: {message}")
        for path, message in (
            ("nothing", "must be a SavedModel, a .keras, .tflite, .onnx or"),
            ("file", "must be a SavedModel, a .keras, .tflite, .onnx or"),
            ("full", "must be a SavedModel, a .keras, .tflite, .onnx or"),
            ("images", "must be a SavedModel, a .keras, .tflite, .onnx or"),
            (
                "nothing.keras",
                "must be a SavedModel, a .keras, .tflite, .onnx or",
            ),
            ("models/folder.keras", "must be a SavedModel, a .keras"),
            ("models/words.keras", "cannot be loaded"),
            ("models/cut.keras", "cannot be loaded"),
            ("models/empty.keras", "cannot be loaded"),
            ("models/words", "cannot be loaded"),
            ("models/words.tflite", "cannot be loaded"),
            ("models/words.onnx", "cannot be loaded"),
            ("models/flat_classes.keras", "does not take the images"),
            ("models/two_classes.keras", "gives outputs of shape (2,) where"),
            ("models/pair.keras", "must have one input, but has 2 inputs"),
        )
    ),
    (
        "--model=run/model.keras,nothing --dataset=digits",
        "--model=nothing: must be",
    ),
    ("--model=models/any_size.keras", "--dataset is required"),
    ("--model=run/model.keras --dataset=no", "--dataset=no: There is no data"),
    ("--model=runs/lost_data/model.keras", "--data"),
    ("--model=run/model.keras --image_size=0", "--image_size=0: must be"),
    ("--model=run/model.keras --image_size=9", "--image_size=9: The images"),
    (
        "--model=models/any_size.keras --dataset=random --image_size=2000000",
        "--image_size=2000000: 13,056 images of noise would take",
    ),
    (
        "--model=models/any_size.keras --dataset=image_folder "
        "--data_dir=images/good --image_size=2000000",
        "--image_size=2000000: 1000 images of 'image_folder' would take",
    ),
    (
        "--model=models/saved --dataset=image_folder --image_size=8 "
        "--data_dir=images/corrupt",
        "--dataset=image_folder: cannot be read",
    ),
    (
        "--model=models/saved --dataset=image_folder --image_size=8 "
        "--data_dir=images/dangling",
        "2.png is no file that can be read",
    ),
]

BENCHMARK = [
    ("--rounds=0", "--rounds=0: must be an integer of at least 1"),
    ("--rounds=x", "--rounds=x: must be an integer"),
    ("--steps=-1", "--steps=-1: must be an integer of at least 0"),
    ("--steps=99999999999", "--steps=99999999999: must be an integer"),
    ("--networks=dense,x", "--networks=dense,x: must be among dense"),
    ("--networks=", "--networks=: must be a list"),
    ("--networks=dsr,dsr", "--networks=dsr,dsr: dsr is there twice"),
    ("--output=file", "--output=file: must be a new file"),
    ("--output=full", "--output=full: must be a new file"),
    ("--output=dangling", "--output=dangling: must be a new file"),
    ("--output=no/a.json", "--output=no/a.json: must be in a folder"),
    ("--measured_period=-1", "--measured_period=-1: must be an integer"),
    ("--output_dir=new", "--output_dir: changes nothing that is measured"),
    ("--live", "--live: changes nothing that is measured"),
    ("--noresume", "--noresume: changes nothing that is measured"),
    ("--strategy=mirrored", "--strategy=mirrored: one device is measured"),
    ("--rund=3", "Unknown command line flag 'rund'; did you mean --rounds?"),
    ("x", "unexpected argument 'x'"),
    *(
        (f"--networks=dsr {flag}", message)
        for flag, message in (
            ("--batch_size=9999", "--batch_size=9999: must be at most the"),
            ("--sparsity=0.99999", "--sparsity=0.99999: A budget of 1 active"),
            ("--granularity=block:7x7", "--granularity=block:7x7"),
            ("--distribution=fc1:0.1", "--distribution=fc1:0.1: "),
            ("--keep_dense=fc", "--keep_dense=fc: "),
            ("--num_reallocated=5020", "--num_reallocated=5020: "),
            ("--learning_rate=inf", "--learning_rate=inf: must be"),
            ("--width=1e7", "--width=1e+07: must be at most"),
            ("--width=20000", "--width=20000.0: training the"),
            ("--schedule_scale=1e308", "--schedule_scale=1e308: must be"),
            ("--image_size=2000000000", "--image_size=2000000000: The"),
            ("--dataset=no_such_set", "--dataset=no_such_set: There is no"),
            ("--initial_checkpoint=nothing", "--initial_checkpoint=nothing"),
            ("--initial_checkpoint=run --width=0.5", "is not of the network"),
            ("--steps_per_execution=x", "--steps_per_execution=x: must be an"),
        )
    ),
    ("--networks=snfs --momentum=0 --nonesterov", "--optimizer=sgd: SNFS"),
    (
        "--networks=deep_r --granularity=channel",
        "--granularity=channel: DeepR needs granularity 'element'",
    ),
]

_RUN = "--model=run/model.keras"

EXPORT = [
    ("", "--model is required"),
    (_RUN, "--output is required"),
    ("--output=new", "--model is required"),
    (f"{_RUN} --output=new --format=x", "--format=x: value should be one of"),
    (f"{_RUN} --output=new --values=int8", "--values=int8: value should be"),
    (f"{_RUN} --output=new --sparse_matmul=x", "--sparse_matmul=x: value"),
    (f"{_RUN} --output=new --dense=x", "--dense=x: must be true or false"),
    (f"{_RUN} --output=new --outputs=x", "'outputs'; did you mean --output?"),
    (f"{_RUN} --output=new x", "unexpected argument 'x'"),
    (f"{_RUN} --output=full", "--output=full: "),
    (f"{_RUN} --output=file", "--output=file: "),
    (f"{_RUN} --output=dangling", "--output=dangling: "),
    (f"{_RUN} --output=a[b]", "--output=a[b]: "),
    (f"{_RUN} --output=new --format=litert", "--output=new: "),
    (f"{_RUN} --output=new.tflite --format=onnx", "--output=new.tflite: "),
    (f"{_RUN} --output=new --dense --values=float16", "--values=float16: "),
    (
        f"{_RUN} --output=n.onnx --format=onnx --values=float16",
        "--values=float16: must be float32 for --format=onnx",
    ),
    (
        f"{_RUN} --output=n.onnx --format=onnx --preprocessing",
        "--preprocessing=True: is for --format=saved_model",
    ),
    (f"{_RUN} --output=new --dense --preprocessing", "--preprocessing=True: "),
    *(
        (f"--model={path} --output=new", f"--model={path}: {message}")
        for path, message in (
            ("nothing", "must be a .keras file or the folder"),
            ("file", "must be a .keras file or the folder"),
            ("full", "must be a .keras file or the folder"),
            ("models/words", "must be a .keras file or the folder"),
            ("models/folder.keras", "must be a .keras file or the folder"),
            ("models/words.keras", "cannot be loaded"),
            ("models/cut.keras", "cannot be loaded"),
            ("models/empty.keras", "cannot be loaded"),
        )
    ),
    (
        "--model=models/two_classes.keras --output=new --preprocessing",
        "--preprocessing: ",
    ),
    (
        "--model=runs/lost_data --output=new --preprocessing",
        "--preprocessing: the data set of the run is needed (",
    ),
    (
        "--model=runs/list --output=new --preprocessing",
        "runs/list/summary.json is damaged",
    ),
]
