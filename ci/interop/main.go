// A federation member made of go-libp2p, which is what the original DFaaS agent is made of. The tests of the overlay
// (agent/tests/interop.rs) run it beside real agents: it joins the topic, says a nodeinfoRecalc every half second, and
// writes what it sees to its standard output, one JSON object per line.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"sync"
	"time"

	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/discovery"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	"github.com/libp2p/go-libp2p/p2p/discovery/routing"
)

// NodeInfo has the fields and the order of the original's message of the recalc strategy.
type NodeInfo struct {
	MsgType     string
	HAProxyHost string
	HAProxyPort uint
	FuncLimits  map[string]map[string]float64
}

// Event is a line of the output.
type Event struct {
	Event     string   `json:"event"`
	Peer      string   `json:"peer,omitempty"`
	Addresses []string `json:"addresses,omitempty"`
	Security  string   `json:"security,omitempty"`
	Data      string   `json:"data,omitempty"`
}

var output struct {
	sync.Mutex
	*json.Encoder
}

func say(event Event) {
	output.Lock()
	defer output.Unlock()
	if err := output.Encode(event); err != nil {
		os.Exit(0) // Nobody listens any more.
	}
}

type settings struct {
	listen, security, connect, rendezvous, topic string
	kademlia, mdns, passive                      bool
}

func main() {
	var s settings
	flag.StringVar(&s.listen, "listen", "/ip4/127.0.0.1/tcp/0", "multiaddress to listen on")
	flag.StringVar(&s.security, "security", "noise", "noise or tls; nothing else is offered")
	flag.StringVar(&s.connect, "connect", "", "multiaddress of a peer to connect to")
	flag.StringVar(&s.rendezvous, "rendezvous", "dfaasagent", "word under which to announce and to look")
	flag.StringVar(&s.topic, "topic", "/dfaasagent/1.0.0", "GossipSub topic")
	flag.BoolVar(&s.kademlia, "kademlia", false, "announce and look for peers by Kademlia")
	flag.BoolVar(&s.mdns, "mdns", false, "announce and look for peers by multicast DNS")
	flag.BoolVar(&s.passive, "passive", false, "connect to nobody who is found")
	flag.Parse()
	output.Encoder = json.NewEncoder(os.Stdout)
	if err := run(context.Background(), s); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, s settings) error {
	node, err := newHost(s.listen, s.security)
	if err != nil {
		return err
	}
	node.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		say(Event{Event: "connected", Peer: c.RemotePeer().String(), Security: string(c.ConnState().Security)})
	}})
	// StrictSign and the default parameters, as in the original; the topic is joined before Kademlia is started.
	gossip, err := pubsub.NewGossipSub(ctx, node, pubsub.WithMessageSignaturePolicy(pubsub.StrictSign))
	if err != nil {
		return err
	}
	topic, err := gossip.Join(s.topic)
	if err != nil {
		return err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	addresses := []string{}
	for _, address := range node.Addrs() {
		addresses = append(addresses, address.String())
	}
	say(Event{Event: "ready", Peer: node.ID().String(), Addresses: addresses})

	if s.kademlia {
		if err := startKademlia(ctx, node, s); err != nil {
			return err
		}
	} else if s.connect != "" {
		known, err := peer.AddrInfoFromString(s.connect)
		if err != nil {
			return err
		}
		if err := node.Connect(ctx, *known); err != nil {
			return err
		}
	}
	if s.mdns {
		service := mdns.NewMdnsService(node, s.rendezvous, finder{ctx, node, "mdns", s.passive})
		if err := service.Start(); err != nil {
			return err
		}
	}
	go publish(ctx, node, topic)
	return receive(ctx, node, subscription)
}

// startKademlia does what the original does: server mode, bootstrap, advertise, look, connect to whom it finds.
func startKademlia(ctx context.Context, node host.Host, s settings) error {
	options := []dht.Option{dht.Mode(dht.ModeServer)}
	if s.connect != "" {
		known, err := peer.AddrInfoFromString(s.connect)
		if err != nil {
			return err
		}
		options = append(options, dht.BootstrapPeers(*known))
		if err := node.Connect(ctx, *known); err != nil {
			return err
		}
	}
	kademlia, err := dht.New(node, options...)
	if err != nil {
		return err
	}
	if err := kademlia.Bootstrap(ctx); err != nil {
		return err
	}
	discoverer := routing.NewRoutingDiscovery(kademlia)
	go func() {
		found := finder{ctx, node, "kademlia", s.passive}
		for {
			// Fails while the table is empty.
			_, _ = discoverer.Advertise(ctx, s.rendezvous, discovery.TTL(time.Minute))
			peers, err := discoverer.FindPeers(ctx, s.rendezvous)
			if err == nil {
				for info := range peers {
					found.HandlePeerFound(info)
				}
			}
			time.Sleep(500 * time.Millisecond)
		}
	}()
	return nil
}

// finder says whom it was told about and connects, unless it is passive.
type finder struct {
	ctx     context.Context
	node    host.Host
	how     string
	passive bool
}

func (f finder) HandlePeerFound(info peer.AddrInfo) {
	if info.ID == f.node.ID() {
		return
	}
	addresses := []string{}
	for _, address := range info.Addrs {
		addresses = append(addresses, address.String())
	}
	say(Event{Event: f.how, Peer: info.ID.String(), Addresses: addresses})
	if !f.passive && f.node.Network().Connectedness(info.ID) != network.Connected {
		if err := f.node.Connect(f.ctx, info); err != nil {
			log.Print(err)
		}
	}
}

func publish(ctx context.Context, node host.Host, topic *pubsub.Topic) {
	for range time.Tick(500 * time.Millisecond) {
		limits := map[string]map[string]float64{}
		for _, id := range node.Network().Peers() {
			limits[id.String()] = map[string]float64{"figlet": 7.5, "shasum": 10}
		}
		data, err := json.Marshal(NodeInfo{"nodeinfoRecalc", "10.9.9.9", 80, limits})
		if err != nil {
			log.Fatal(err)
		}
		if err := topic.Publish(ctx, data); err != nil {
			log.Print(err)
		}
	}
}

func receive(ctx context.Context, node host.Host, subscription *pubsub.Subscription) error {
	for {
		message, err := subscription.Next(ctx)
		if err != nil {
			return err
		}
		if from := message.GetFrom(); from != node.ID() {
			var info NodeInfo
			if err := json.Unmarshal(message.Data, &info); err != nil {
				return err // The original ends here too.
			}
			say(Event{Event: "message", Peer: from.String(), Data: string(message.Data)})
		}
	}
}
