"""Connections that idle outlive a worker that is killed, whatever else changes meanwhile."""

import os
import signal

from tests.integration.test_lifecycle import ONE, TWO, Client, Life, life, reload, start
from tests.integration.test_upgrade import upgrade, upgrades
from tests.support.daemon import Daemon, Reader, _alive, request, wait_for
from tests.support.extent import slow

FEW = 6


class Idle(Life):
    """Connections that idle, and workers that are killed."""

    def idle(self, daemon: Daemon, name: str, number: int = FEW) -> list[Client]:
        """Connections that have asked once."""
        clients = [self.client(daemon) for _ in range(number)]
        for client in clients:
            client.who(name)
        return clients

    def kill(self, daemon: Daemon, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not _alive(pid), what="its end")

    def who(self, clients: list[Client], name: str) -> set[tuple[int, int]]:
        """Who answers; each on the connection of before."""
        found = {client.who(name) for client in clients}
        self.assertEqual([c.sock.getsockname()[1] for c in clients], [c.port for c in clients])
        return found

    def check_all_there(self, daemon: Daemon, number: int, rescued: int) -> None:
        """Each has one place and one copy; nothing was let go."""
        report = daemon.report()
        self.assertEqual(report["connections"]["open"], number)
        self.assertEqual(report["connections"]["guarded"], number)
        master = report["master"]
        self.assertEqual((master["rescued"], master["released"]), (rescued, 0))


class Changes(Idle):
    def test_a_drain_whose_old_worker_is_killed(self) -> None:
        with start("--session-drain", "30", "--affinity-scope", "request") as daemon:
            idle = self.idle(daemon, ONE)
            [(_, old)] = self.who(idle, ONE)
            reload(daemon)
            fresh = self.idle(daemon, "10.10.12.10")
            new = daemon.pids()[1]
            self.assertEqual(self.who(idle, ONE), {(1, old)})
            self.at_rest(daemon)
            self.kill(daemon, old)
            self.assertEqual(self.who(idle, ONE), {(1, new)})
            self.assertEqual(self.who(fresh, "10.10.12.10"), {(1, new)})
            self.check_all_there(daemon, 2 * FEW, FEW)

    @slow
    def test_a_drain_whose_new_worker_is_killed(self) -> None:
        with start("--session-drain", "30", "--affinity-scope", "request") as daemon:
            idle = self.idle(daemon, ONE)
            [(_, old)] = self.who(idle, ONE)
            reload(daemon)
            fresh = self.idle(daemon, "10.10.12.10")
            self.kill(daemon, daemon.pids()[1])
            # What the old one does not know goes to the one that comes.
            [(slot, new)] = self.who(fresh, "10.10.12.10")
            self.assertEqual((slot, new), (1, daemon.pids()[1]))
            self.assertNotEqual(new, old)
            self.assertEqual(self.who(idle, ONE), {(1, old)})
            self.check_all_there(daemon, 2 * FEW, FEW)

    @slow
    def test_worn_workers(self) -> None:
        with start("--max-requests", "20") as daemon:
            idle = self.idle(daemon, ONE)
            pids = set()
            rescued = 0
            while len(pids) < 4:
                [(slot, pid)] = {idle[0].who(ONE)}
                self.assertEqual(slot, 1)
                if pid not in pids and len(pids) == 2:
                    # One that has come for wear, and got everything from the one before.
                    wait_for(lambda: daemon.report()["slots"][0]["counters"]["open"] == FEW)
                    self.kill(daemon, pid)
                    rescued = FEW
                pids.add(pid)
            self.who(idle, ONE)
            self.check_all_there(daemon, FEW, rescued)

    def test_one_slot_more_and_one_fewer(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            idle = self.idle(daemon, ONE) + self.idle(daemon, TWO)
            daemon.process.send_signal(signal.SIGTTIN)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2, 3])
            third = daemon.pids()[3]
            names = (f"10.20.{n}.1" for n in range(250))
            name = next(name for name in names if idle[0].who(name)[0] == 3)
            self.assertEqual(self.who(idle, name), {(3, third)})
            self.at_rest(daemon)
            os.kill(third, signal.SIGSTOP)
            # Nobody there hears of it, and then nobody is there.
            daemon.process.send_signal(signal.SIGTTOU)
            wait_for(lambda: daemon.report()["table"]["slots"] == [1, 2])
            self.kill(daemon, third)
            self.assertLessEqual({slot for slot, _ in self.who(idle, name)}, {1, 2})
            wait_for(lambda: len(daemon.report()["slots"]) == 2)
            self.check_all_there(daemon, 2 * FEW, 2 * FEW)

    def test_a_slot_that_nobody_serves_any_more(self) -> None:
        with start("--slot-failover", "0.5", "--affinity-scope", "request") as daemon:
            idle = self.idle(daemon, ONE)
            (life(daemon) / "fails-1").touch()
            self.kill(daemon, daemon.pids()[1])
            daemon.said("its keys go to the next slot")
            self.assertEqual(self.who(idle, ONE), {(2, daemon.pids()[2])})
            self.check_all_there(daemon, FEW, FEW)

    def test_a_full_daemon_stays_full(self) -> None:
        with start("--max-connections", str(FEW)) as daemon:
            idle = self.idle(daemon, ONE)
            for _ in range(2):
                self.kill(daemon, daemon.pids()[1])
                with daemon.connect() as late:
                    late.sendall(request(ONE))
                    self.assertEqual(Reader(late).response().status, 503)
                self.who(idle, ONE)
            self.check_all_there(daemon, FEW, 2 * FEW)
            idle.pop().sock.close()
            wait_for(lambda: daemon.report()["connections"]["open"] == FEW - 1)
            self.assertEqual(self.idle(daemon, ONE, 1)[0].who(ONE)[0], 1)
            self.check_all_there(daemon, FEW, 2 * FEW)


class AnotherProgram(Idle):
    """SIGUSR2: copies and ledger are taken along."""

    def test_before_and_after(self) -> None:
        with start("--affinity-scope", "request") as daemon:
            idle = self.idle(daemon, ONE)
            rescued = 0
            for _ in range(2):
                descriptors = daemon.settled_descriptors()[daemon.process.pid]
                upgrade(daemon)
                now = daemon.settled_descriptors()[daemon.process.pid]
                self.assertLessEqual(now, descriptors + 1)
                self.check_all_there(daemon, len(idle), rescued)
                # Some that the program before has placed, some that this one has.
                idle += self.idle(daemon, TWO)
                for slot, name in ((2, TWO), (1, ONE)):
                    self.who(idle, name)
                    self.kill(daemon, daemon.pids()[slot])
                    rescued += len(idle)
                    self.assertEqual(self.who(idle, name), {(slot, daemon.pids()[slot])})
                    self.check_all_there(daemon, len(idle), rescued)
            for client in idle:
                client.sock.close()
            wait_for(lambda: not daemon.report()["connections"]["guarded"], what="no copies")
            self.assertEqual(daemon.report()["connections"]["open"], 0)

    @slow
    def test_a_worker_dies_at_the_same_time(self) -> None:
        with start() as daemon:
            idle = self.idle(daemon, ONE)
            # It does not take its new channel, so that the old program waits for it.
            pid = daemon.pids()[1]
            os.kill(pid, signal.SIGSTOP)
            daemon.process.send_signal(signal.SIGUSR2)
            daemon.said("upgrade: becoming")
            self.kill(daemon, pid)
            wait_for(lambda: upgrades(daemon) == 1, 20, "another program")
            self.assertEqual(self.who(idle, ONE), {(1, daemon.pids()[1])})
            self.check_all_there(daemon, FEW, FEW)
