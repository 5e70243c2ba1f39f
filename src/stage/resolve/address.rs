//! Which addresses a call may go to: public ones, and what the settings open explicitly.
//!
//! The ranges follow IANA's special-purpose registries (RFC 6890) and the filter of Svix's webhook
//! server. It runs on the result of every look-up, so a name cannot lead anywhere else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), prefix))
}

const fn v6(a: u16, b: u16, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix))
}

/// The ranges that are closed unless the settings open a part of them.
const CLOSED: [IpNet; 22] = [
    v4(0, 0, 0, 8),       // this network
    v4(10, 0, 0, 8),      // private
    v4(100, 64, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 8),     // loopback
    v4(169, 254, 0, 16),  // link-local, with the clouds' metadata services
    v4(172, 16, 0, 12),   // private
    v4(192, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 24),    // documentation
    v4(192, 88, 99, 24),  // 6to4 relays
    v4(192, 168, 0, 16),  // private
    v4(198, 18, 0, 15),   // benchmarks
    v4(198, 51, 100, 24), // documentation
    v4(203, 0, 113, 24),  // documentation
    v4(224, 0, 0, 4),     // multicast
    v4(240, 0, 0, 4),     // reserved, broadcast
    // Only 2000::/3 is given out as global unicast. The rest holds loopback, NAT64 (64:ff9b::/96),
    // SRv6 (5f00::/16), unique local (fc00::/7), link-local (fe80::/10) and multicast (ff00::/8).
    v6(0, 0, 3),
    v6(0x4000, 0, 2),
    v6(0x8000, 0, 1),
    v6(0x2001, 0, 23),     // protocol assignments, Teredo, ORCHID, benchmarks
    v6(0x2001, 0xdb8, 32), // documentation
    v6(0x2002, 0, 16),     // 6to4: leads to any IPv4 address
    v6(0x3fff, 0, 20),     // documentation
];

/// Lets public addresses pass, and closed ones only where the settings open them.
#[derive(Clone, Debug, Default)]
pub struct AddressFilter {
    opened: Vec<IpNet>,
}

impl AddressFilter {
    /// A filter that lets `opened` pass beside public addresses.
    ///
    /// # Errors
    /// Every network that is not inside one closed range, with the reason: a public network needs
    /// no entry, and a wider one would open ranges that nobody thought of.
    pub fn new(opened: Vec<IpNet>) -> Result<Self, Vec<String>> {
        let problems: Vec<_> = opened
            .iter()
            .filter(|net| !CLOSED.iter().any(|closed| closed.contains(*net)))
            .map(|net| {
                format!(
                    "{net} is not inside one of the closed ranges: list the private networks \
                     themselves, public addresses need no entry"
                )
            })
            .collect();
        if problems.is_empty() { Ok(Self { opened }) } else { Err(problems) }
    }

    /// Whether a call may go to `address`. An IPv4 address in IPv6 clothing is judged as what it is.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        !CLOSED.iter().any(|net| net.contains(&address))
            || self.opened.iter().any(|net| net.contains(&address))
    }
}

/// Looks through IPv4-mapped (`::ffff:a.b.c.d`) and IPv4-compatible (`::a.b.c.d`) addresses. The
/// latter takes `::` and `::1` to 0.0.0.0/8, which is closed just as they are.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) if v6 == Ipv6Addr::LOCALHOST => address,
        IpAddr::V6(v6) => v6.to_ipv4().map_or(address, IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(filter: &AddressFilter, address: &str) -> bool {
        filter.allows(address.parse().unwrap_or_else(|_| panic!("{address} is no address")))
    }

    /// The first and last address inside of every range, and their neighbours outside.
    #[test]
    fn both_sides_of_every_range() {
        let closed = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("::127.0.0.1", "::10.0.0.1"),
            ("::ffff:0.0.0.0", "::ffff:127.0.0.1"),
            ("::ffff:169.254.169.254", "::ffff:10.1.2.3"),
            ("::ffff:192.168.0.1", "::ffff:255.255.255.255"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "5f00::1"),
            ("5f00:ffff::", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("8000::", "fbff::1"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "ff02::1"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        let open = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.1.255",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "::8.8.8.8",
            "::ffff:8.8.8.8",
            "2000::",
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
            "2606:4700:4700::1111",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ];
        let filter = AddressFilter::default();
        for (first, last) in closed {
            assert!(!allowed(&filter, first), "{first}");
            assert!(!allowed(&filter, last), "{last}");
        }
        for address in open {
            assert!(allowed(&filter, address), "{address}");
        }
    }

    #[test]
    fn an_opened_network_opens_itself_and_nothing_else() {
        let opened = ["10.20.0.0/16", "fd00:1::/32", "::1/128"];
        let opened = opened.map(|net| net.parse().unwrap()).to_vec();
        let filter = AddressFilter::new(opened).unwrap();
        for address in
            ["10.20.0.0", "10.20.255.255", "::ffff:10.20.0.1", "fd00:1::5", "::1", "8.8.8.8"]
        {
            assert!(allowed(&filter, address), "{address}");
        }
        for address in ["10.19.255.255", "10.21.0.0", "127.0.0.1", "fd00:2::5", "169.254.169.254"] {
            assert!(!allowed(&filter, address), "{address}");
        }
    }

    #[test]
    fn networks_that_would_open_more_than_they_say_are_refused_all_at_once() {
        let wide = ["0.0.0.0/0", "10.0.0.0/8", "::/0", "8.8.8.0/24", "168.0.0.0/6"];
        let wide = wide.map(|net| net.parse().unwrap()).to_vec();
        let problems = AddressFilter::new(wide).unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert!(problems[0].starts_with("0.0.0.0/0 is not inside"));
    }
}
