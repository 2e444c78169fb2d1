using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging.Abstractions;
using SnapshotFlow.Activities;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Drivers.Qga;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Exceptions;
using Temporalio.Testing;

namespace SnapshotFlow.Tests.Guard.Processes;

/// <summary>
/// What a compute worker does to one guest, as a process without Temporal: the real activities, called by lines on standard input.
/// <c>quiesce</c> answers <c>frozen …</c>, <c>unquiesce</c> answers <c>thawed …</c>; a failure answers <c>failed kind: message</c>.
/// </summary>
internal static partial class HolderProgram
{
    public const string Command = "holder";

    /// <summary>Arguments: lease directory, server, agent address, run token, deadline in ms, then any of the options below.</summary>
    public const string WithBackup = "--backup", StopBeforeFreeze = "--stop-before-freeze", StopInConversation = "--stop-in-conversation";

    public static async Task<int> RunAsync(string[] args)
    {
        var leases = new FreezeLeaseDirectory(args[0]);
        var (server, address, token, deadline) = (ServerId.Parse(args[1]), args[2], args[3], TimeSpan.FromMilliseconds(int.Parse(args[4], null)));
        var clock = new LinuxHostClock(TimeProvider.System);
        IGuestAgents agents = new GuestAgents(new QgaOptions(), TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var backup = args.Contains(WithBackup)
            ? new FreezeGuard(leases, agents, clock, TimeProvider.System, GuardDuty.Backup, NullLogger<FreezeGuard>.Instance).RunAsync(() => { }, Task.CompletedTask, stop.Token)
            : Task.CompletedTask;
        var activities = new GuestActivities(new StoppingAgents(agents, args), leases, clock, TimeProvider.System, NullLogger<GuestActivities>.Instance);
        Console.WriteLine("ready");
        while (await Console.In.ReadLineAsync() is { } line)
        {
            try
            {
                Console.WriteLine(line switch
                {
                    "quiesce" => $"frozen {await new ActivityEnvironment().RunAsync(() => activities.QuiesceAsync(new(server, address, token, deadline)))}",
                    "unquiesce" => $"thawed {await new ActivityEnvironment().RunAsync(() => activities.UnquiesceAsync(new(server, address, token)))}",
                    _ => "what?",
                });
            }
            catch (ApplicationFailureException e)
            {
                Console.WriteLine($"failed {e.ErrorType}: {e.Message}");
            }
        }

        await stop.CancelAsync();
        await backup;
        return 0;
    }

    /// <summary>Stops its own process at the worst moments.</summary>
    private sealed class StoppingAgents(IGuestAgents inner, string[] args) : IGuestAgents
    {
        public IGuestAgent Open(string? address) => new Agent(inner.Open(address), address!["qga:unix:".Length..], args);

        private sealed class Agent(IGuestAgent inner, string socketPath, string[] args) : IGuestAgent
        {
            public Task<GuestProbe> ProbeAsync(CancellationToken ct) => inner.ProbeAsync(ct);

            public Task<GuestThaw> ThawAsync(CancellationToken ct) => inner.ThawAsync(ct);

            public Task<GuestFreezeStatus> StatusAsync(CancellationToken ct) => inner.StatusAsync(ct);

            public async Task<GuestFreeze> FreezeAsync(CancellationToken ct)
            {
                if (args.Contains(StopBeforeFreeze))
                {
                    // Answered only when the conversation before is over; a blocking socket is closed when it says so.
                    Ping().Dispose();
                    StopMyself();

                    // A deadline that passed meanwhile does not stop a freeze that is already on its way.
                    return await inner.FreezeAsync(CancellationToken.None);
                }

                var freeze = await inner.FreezeAsync(ct);
                if (args.Contains(StopInConversation))
                {
                    using var conversation = Ping();
                    StopMyself();
                }

                return freeze;
            }

            /// <summary>A conversation that has been answered and is not closed.</summary>
            private Socket Ping()
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                socket.Connect(new UnixDomainSocketEndPoint(socketPath));
                socket.Send("{\"execute\":\"guest-ping\"}\n"u8);
                socket.Receive(new byte[256]);
                return socket;
            }
        }
    }

    /// <summary>Stands still within this call: raise(3) addresses the calling thread, kill(2) would let it run on for a moment.</summary>
    private static void StopMyself()
    {
        const int sigstop = 19;
        Console.WriteLine("stopping");
        if (raise(sigstop) != 0)
        {
            throw new UnreachableException("raise");
        }
    }

    [LibraryImport("libc")]
    private static partial int raise(int signal);
}
