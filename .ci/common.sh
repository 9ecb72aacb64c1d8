# What the scripts of this folder share; they source it. It enters the project's folder, and on exit prints a summary.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

export CI=true PIP_NO_INPUT=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MPLBACKEND=Agg
jobs=$(getconf _NPROCESSORS_ONLN)
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs
scratch=$(mktemp -d)
stage_name="start"
stage_start=0
largest_wheel=3000000  # bytes
all_pythons="3.11 3.12 3.13 3.14"
times=()
summaries=()
left_out=()

minutes() {
  printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
}

finish() {
  local status=$?
  rm -rf "$scratch"
  end_stage
  printf '\n=== summary after %s\n' "$(minutes $SECONDS)"
  ((${#times[@]} == 0)) || printf '%s\n' "${times[@]}"
  ((${#left_out[@]} == 0)) || printf 'left out: %s\n' "${left_out[@]}"
  ((${#summaries[@]} == 0)) || printf '%s\n' "${summaries[@]}"
  if ((status == 0)); then echo "all stages passed"; else echo "FAILED: $stage_name"; fi
  exit "$status"
}
trap finish EXIT

end_stage() {
  [[ $stage_name == start ]] || times+=("$(printf '%7s  %s' "$(minutes $((SECONDS - stage_start)))" "$stage_name")")
}

stage() {
  end_stage
  stage_name=$1
  stage_start=$SECONDS
  printf '\n=== [%s] %s\n' "$(minutes $SECONDS)" "$stage_name"
}

leave_out() {
  echo "left out: $1"
  left_out+=("$1")
}

# suite <label> <seconds> <command ...>: runs pytest, which may hang, and keeps its last line for the summary.
suite() {
  local label=$1 limit=$2 status=0
  shift 2
  timeout "$limit" "$@" 2>&1 | tee "$scratch/suite.log" || status=$?
  summaries+=("$label: $(grep -E '(passed|failed|error|skipped).* in [0-9.]+s' "$scratch/suite.log" | tail -n 1)")
  return "$status"
}

# install_debian <package ...>: where this machine lets it; the caller looks whether it did.
install_debian() {
  [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 0
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@"; } >"$scratch/apt.log" 2>&1 ||
    tail -n 5 "$scratch/apt.log"
}

# find_python <version>: the Python of this version ("3.11") that can build an extension in a virtual environment.
find_python() {
  local version=$1 candidate
  for candidate in python3 "python$version" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version".*/bin/python; do
    if "$candidate" -c "
import sys, sysconfig, pathlib, ensurepip
right = '%d.%d' % sys.version_info[:2] == '$version'
sys.exit(not (right and pathlib.Path(sysconfig.get_path('include'), 'Python.h').exists()))" 2>/dev/null; then
      "$candidate" -c "import sys; print(sys.executable)"
      return
    fi
  done
  return 1
}

# enter_environment: a new virtual environment of the oldest Python here, data sets, a compiler cache that is empty.
enter_environment() {
  local version main_python=""
  stage "new virtual environment"
  for version in $all_pythons; do
    main_python=$(find_python "$version") && break
  done
  [[ -n $main_python ]] || { echo "expected Python 3.11 to 3.14 with its headers, found none"; exit 1; }
  "$main_python" -m venv "$scratch/venv"
  source "$scratch/venv/bin/activate"
  rm -rf build  # what an earlier run built must not stand in for a clean build
  if [[ -z ${NNFAST_DATA:-} && -d ../shared/data ]]; then
    NNFAST_DATA=$(cd ../shared/data && pwd)
    export NNFAST_DATA
  fi
  echo "Python $(python --version | cut -d ' ' -f 2), $jobs processors, data: ${NNFAST_DATA:-none}"

  # The sources are compiled for several Pythons and builds: what is the same comes from the cache.
  command -v ccache >/dev/null || install_debian ccache
  if command -v ccache >/dev/null; then
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_DIR=$scratch/ccache
    # What is compiled with a precompiled header of one build is not the same in another.
    without_pch=CMAKE_DISABLE_PRECOMPILE_HEADERS=ON
    export SKBUILD_CMAKE_DEFINE=$without_pch
    # It tells compilers apart by their names, and scikit-build-core would take another name than CMake.
    if [[ -z ${CXX:-} ]] && command -v g++ >/dev/null; then export CXX=g++; fi
  fi
}

# install_from_extras <generator>: the requirements that it yields from `extras`, those of pyproject.toml.
install_from_extras() {
  python -c "
import tomllib
extras = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']
print(*($1), sep='\n')" >"$scratch/requirements.txt"
  python -m pip install --requirement "$scratch/requirements.txt"
}

# The tools of the extra "dev" alone: installing it by name would compile everything once more.
install_tools() {
  install_from_extras "need for need in extras['dev'] + extras['download'] if not need.startswith('nnfast')"
}

# What else nnfast works together with.
install_other_libraries() {
  install_from_extras "need for name in ('interop', 'tables') for need in extras[name] if not need.startswith('nnfast')"
}

install_pytorch() {
  install_from_extras "need for need in extras['bench'] if need.startswith('torch=')"
}

# The instruction sets of this machine that the installed package has, and the one it takes unless told.
available_isas() {
  python -c "from nnfast import _core; print(*_core.available_isas(), sep='${1:- }')"
}
default_isa() {
  python -c "from nnfast import _core; print(_core.isa_name())"
}

# build_and_try_wheel <python> <label>: in a new environment, and in the folder of the first build, where only the bindings
# depend on the version of Python.
build_and_try_wheel() {
  local environment=$scratch/venv-$2 wheels=$scratch/wheels-$2 size builds=(build/cp*)
  local in_folder=(--config-settings "build-dir=${builds[0]}")
  "$1" -m venv "$environment"
  "$environment/bin/python" -m pip wheel --no-deps --wheel-dir "$wheels" "${in_folder[@]}" .
  "$environment/bin/python" -m pip install "$wheels"/*.whl
  "$environment/bin/python" .ci/smoke.py
  size=$(stat -c %s "$wheels"/*.whl)
  echo "wheel: $size bytes (at most $largest_wheel)"
  ((size <= largest_wheel))
}

# cpp_tests <label> <cmake options ...>: builds the C++ tests in a folder of their own and runs them; with $only_test, that
# one.
cpp_tests() {
  local build=$scratch/cpp-$1
  shift
  cmake -S . -B "$build" -G Ninja -DNNFAST_BUILD_TESTS=ON ${without_pch:+"-D$without_pch"} "$@" >"$build.log" ||
    { cat "$build.log"; return 1; }
  cmake --build "$build" --parallel "$jobs" ${only_test:+--target "$only_test"} >"$build.log" 2>&1 ||
    { cat "$build.log"; return 1; }
  ctest --test-dir "$build" --output-on-failure --no-tests=error --timeout 300 ${only_test:+--tests-regex "$only_test"}
}

# sanitized_tests <label> <sanitizers> <instruction sets>: -O1, because checks make the compiler slow.
sanitized_tests() {
  cpp_tests "$1" -DCMAKE_CXX_FLAGS=-O1 "-DNNFAST_SANITIZE=$2" "-DNNFAST_ISAS=$3"
}
