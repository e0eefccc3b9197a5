//! Network namespaces, veth pairs, bridges, addresses, routes and traffic control over netlink.
