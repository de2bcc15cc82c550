#!/bin/bash
# Makes FOLDER able to check Rust programs for Windows (x86_64-pc-windows-gnu) on Debian 12, x86_64.
#
#   setup.sh FOLDER
#
# rustup's std for that target is not needed: Debian's `rustc-web` comes with its own std source, which
# is built once. The compiler is unpacked into FOLDER and never installed, so it does not clash with
# rustup. Only the packages of step 1 are installed, and only they need root.
# Repeat it freely: what is done is not done again. Two runs at once wait for each other.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: setup.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"; WT=$(cd "$1" && pwd); cd "$WT"; mkdir -p log bin
exec </dev/null 9>"$WT/.setup.lock"; flock 9
T0=$SECONDS
say() { printf '      [%3ds] %s\n' $((SECONDS - T0)) "$*"; }
fail() { echo "cannot prepare the Windows toolchain: $1" >&2; [ -f "${2:-}" ] && tail -n 15 "$2" >&2; exit 1; }
TC=$WT/rustweb/usr
DEST=$TC/lib/rustlib/x86_64-pc-windows-gnu/lib

# 1. The linker, and the libraries the unpacked compiler and cargo load.
need=()
for p in gcc-mingw-w64-x86-64-win32 libz3-4 libxml2 libedit2 libcurl4 libssh2-1 zlib1g; do
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
