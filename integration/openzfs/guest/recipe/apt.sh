# shellcheck shell=bash
# apt.sh - Debian packages without installing them: an apt of our own that
# knows this machine's mirrors with the component contrib added (OpenZFS is
# there), and thinks that nothing is installed. Sourced by build.sh.

# apt_setup DIR: make such an apt in DIR.
apt_setup() {
	local codename
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:?}")
	mkdir -p "$1/lists/partial" "$1/archives/partial"
	: >"$1/status"
	# A mirror that is a frozen copy has Release files past their date.
	apt_options=(-qq -o "Dir::Etc::SourceList=$1/sources.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$1/lists" -o "Dir::State::Status=$1/status" -o "Dir::Cache=$1"
		-o Debug::NoLocking=1 -o APT::Sandbox::User= -o Acquire::Languages=none
		-o Acquire::Check-Valid-Until=false -o APT::Install-Recommends=false)
	# shellcheck disable=SC2016 # the dollars are apt's
	apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u |
		awk -v release="$codename" 'index($2, release) == 1 {print "deb", $1, $2, "main contrib"}' >"$1/sources.list"
	[ -s "$1/sources.list" ] || { echo "apt knows no mirror of Debian $codename" >&2; return 1; }
	apt-get "${apt_options[@]}" update
}

# apt_version PACKAGE: the version that the mirrors have.
apt_version() {
	apt-cache "${apt_options[@]}" show --no-all-versions "$1" | sed -n 's/^Version: //p'
}

# apt_dependency PACKAGE PREFIX: what PACKAGE depends on whose name has PREFIX.
apt_dependency() {
	apt-cache "${apt_options[@]}" depends "$1" | sed -n "s/^ *Depends: \($2.*\)/\1/p" | head -n 1
}

# apt_download DIR PACKAGE...: the files of these packages in DIR, which is made.
apt_download() {
	local into=$1
	shift
	mkdir "$into"
	(cd "$into" && apt-get "${apt_options[@]}" download "$@")
}

# apt_unpack DIR PACKAGE...: these packages, and nothing they depend on, in DIR.
apt_unpack() {
	local into=$1 downloads=$1/downloads
	shift
	apt_download "$downloads" "$@"
	unpack "$into" "$downloads"
	rm -r "$downloads"
}

# unpack DIR DOWNLOADS: the packages whose files are in DOWNLOADS, in DIR.
unpack() {
	local deb
	for deb in "$2"/*.deb; do dpkg-deb -x "$deb" "$1"; done
}

# apt_closure PACKAGE...: these packages and all that they depend on, by name.
apt_closure() {
	apt-get "${apt_options[@]}" --simulate install "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}
