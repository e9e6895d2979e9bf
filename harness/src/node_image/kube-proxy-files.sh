# Writes to $1 a tar of what kube-proxy runs: iptables, nft and conntrack with their libraries. A whole
# Debian would do too, and take a quarter of a gigabyte in each node.
set -eu
programs='iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore nft conntrack'

# A path without links in its folders, then what it leads to.
follow() {
  path=$(realpath "$(dirname "$1")")/$(basename "$1")
  echo "$path"
  [ ! -L "$path" ] || follow "$(cd "$(dirname "$path")" && realpath -s "$(readlink "$path")")"
}

{
  for link in /bin /sbin /lib /lib64; do [ ! -L "$link" ] || echo "$link"; done
  for program in $programs; do follow "$(command -v "$program")"; done
  for plugin in /usr/lib/*/xtables/*.so; do echo "$plugin"; done
} >/tmp/files
while read -r file; do
  [ -L "$file" ] || ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || :
done </tmp/files | sort -u | while read -r library; do follow "$library"; done >/tmp/libraries
sort -u /tmp/files /tmp/libraries | sed 's#^/##' | tar -C / --no-recursion --owner=0 --group=0 -cf "$1" -T -
rm /tmp/files /tmp/libraries
