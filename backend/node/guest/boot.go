//go:build linux

package guest

import (
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// maxThreads is how many threads of init run Go code at once: each of them has caches of its own, and the work of init is
// to wait.
const maxThreads = 2

// boot is stage 2: it brings the instance up, then waits for its end. A step that fails is told on the console and the
// next one is tried, as an instance that half works can still be looked into.
func boot(config Config) int {
	debug.SetGCPercent(40) // many instances share the machine's memory, and init is idle
	runtime.GOMAXPROCS(min(maxThreads, runtime.NumCPU()))
	screen := newConsole(os.Stdout)
	requests := listenForShutdown()
	children := newProcesses(true)
	go children.reapForever()
	machine := &instance{root: "/", config: config, processes: children, console: screen, rest: newRest(), stop: make(chan struct{})}
	go machine.start()
	request := <-requests
	status := shutdownRequests[request]
	screen.logf("%v: shutting down", request)
	grace := time.Duration(config.StopGraceSeconds) * time.Second
	if grace == 0 {
		grace = defaultGrace
	}
	shutdown{
		grace: grace, refuse: children.close, closeLogins: machine.closeLogins, signalAll: killAll, alone: children.reap, logf: screen.logf,
	}.run()
	unix.Sync()
	screen.logf("exit status %d", status)
	return status
}

// instance is the machine that comes up.
type instance struct {
	root      rootFolder
	config    Config
	processes *processes
	console   *console
	rest      *rest
	// stop is closed when the shutdown begins.
	stop chan struct{}

	mu     sync.Mutex
	server *sshServer // nil until the built-in server listens
	closed bool
}

func (i *instance) check(step string, err error) {
	if err != nil {
		i.console.logf("%s: %v", step, err)
	}
}

// start is the boot, in its order.
func (i *instance) start() {
	i.console.logf("Mini AWS instance %s boots", i.config.InstanceID)
	first, err := i.root.adoptInstance(i.config.InstanceID)
	i.check("identity", err)
	i.check("folders", i.root.ensureFolders())
	hostname := i.nameHost()
	keys, err := i.root.ensureHostKeys("root@" + hostname)
	i.check("host keys", err)
	configured := map[string][]string{}
	for _, user := range i.config.Users {
		i.check("user "+user.Name, i.root.ensureUser(user))
		configured[user.Name] = user.AuthorizedKeys
	}
	i.check("environment", i.root.writeEnvironment(i.config.Environment))
	if binary, err := os.Readlink(self); err != nil {
		i.check("power commands", err)
	} else {
		i.check("power commands", i.root.installPowerCommands(binary))
		i.check("sudo", i.root.installSudo(binary))
	}
	if i.config.AwaitNetwork {
		i.awaitNetwork()
	}
	work := planUserData(i.root, i.config, i.processes, i.console)
	work.early()
	i.startSSH(&sshServer{root: i.root, processes: i.processes, hostKeys: keys, configured: configured, connect: connectKeys, rest: i.rest, logf: i.console.logf})
	if first && len(keys) > 0 {
		i.console.print(hostKeyAnnouncement(keys, "root@"+hostname))
	}
	if i.config.LinkToken != "" && len(keys) > 0 {
		go i.keepLink(keys, i.stop)
	}
	work.late()
	i.console.logf("boot finished")
	i.rest.after()
}

// nameHost answers the instance's name; the kernel's was set by the engine, because init may not.
func (i *instance) nameHost() string {
	current, err := os.Hostname()
	i.check("hostname", err)
	if i.config.Hostname != "" && i.config.Hostname != current {
		i.console.logf("hostname: the engine set %q, the configuration says %q", current, i.config.Hostname)
	}
	return current
}

// networkPatience is how long a boot waits for its network.
const networkPatience = 30 * time.Second

// awaitNetwork waits until an interface other than the loopback has an address.
func (i *instance) awaitNetwork() {
	for started := time.Now(); time.Since(started) < networkPatience; time.Sleep(5 * time.Millisecond) {
		addresses, err := net.InterfaceAddrs()
		i.check("network", err)
		for _, address := range addresses {
			if own, ok := address.(*net.IPNet); ok && own.IP.IsGlobalUnicast() {
				i.console.logf("network: %v after %d ms", own, time.Since(started).Milliseconds())
				return
			}
		}
	}
	i.console.logf("network: none after %v", networkPatience)
}

// startSSH answers once somebody listens on port 22, or is being started.
func (i *instance) startSSH(builtin *sshServer) {
	if i.config.SSH == SSHNone {
		i.console.logf("ssh: not wanted")
		return
	}
	if sshd, ok := i.root.find(sshdPaths...); ok && i.config.SSH != SSHBuiltin {
		what, err := i.root.sshdService(sshd, os.Stdout)
		if err != nil {
			i.check("ssh", err)
			return
		}
		i.console.logf("ssh: starting %s", sshd)
		go service{name: "sshd", what: what, processes: i.processes, logf: i.console.logf}.run(i.stop)
		return
	}
	listener, err := listenSSH()
	if err != nil {
		i.check("ssh", err)
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		_ = listener.Close()
		return
	}
	i.server = builtin
	i.console.logf("ssh: built-in server listens on port 22")
	go func() { i.check("ssh", builtin.serve(listener)) }()
}

// closeLogins ends the logins of the built-in server; those of an sshd end with its processes.
func (i *instance) closeLogins() {
	i.mu.Lock()
	i.closed = true
	server := i.server
	i.mu.Unlock()
	close(i.stop)
	if server != nil {
		server.close()
	}
}
