using Microsoft.Extensions.Logging;
using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Leases;

/// <summary>A guard's care for one lease: waits for its deadline, then thaws until it is sure, then ends the lease.</summary>
internal sealed partial class LeaseWatch
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan PauseForDisk = TimeSpan.FromSeconds(1);

    // A waiting call is answered as soon as the agent can, so a longer one loses nothing; a first short one finds an agent that was restarted in the guest.
    private static readonly TimeSpan FirstPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPatience = TimeSpan.FromSeconds(8);

    private readonly FreezeGuard guard;
    private readonly OpenLeaseFile file;
    private readonly FreezeLeaseDirectory leases;
    private readonly IGuestAgents agents;
    private readonly IHostClock clock;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly Dictionary<Concern, string> problems = [];
    private volatile bool thawed;

    private LeaseWatch(FreezeGuard guard, OpenLeaseFile file, FreezeLeaseDirectory leases, IGuestAgents agents, IHostClock clock, TimeProvider time, ILogger logger)
    {
        (this.guard, this.file, this.leases, this.agents, this.clock, this.time, this.logger) = (guard, file, leases, agents, clock, time, logger);
        // A file that is no lease says nothing about its deadline: it has passed.
        Deadline = file.Lease?.Deadline ?? clock.Now;
    }

    /// <summary>Ends when the lease is over; never fails.</summary>
    public Task Completion { get; private set; } = Task.CompletedTask;

    private HostInstant Deadline { get; set; }

    private string Name => Path.GetFileNameWithoutExtension(file.Name);

    /// <summary>Begins.</summary>
    public static LeaseWatch Start(
        FreezeGuard guard, OpenLeaseFile file, FreezeLeaseDirectory leases, IGuestAgents agents, IHostClock clock, TimeProvider time, ILogger logger, CancellationToken abandon)
    {
        var watch = new LeaseWatch(guard, file, leases, agents, clock, time, logger);
        watch.Completion = Task.Run(() => watch.RunAsync(abandon), CancellationToken.None);
        return watch;
    }

    /// <summary>Whether the promise is broken: the deadline has passed by more than it allows, and the guest has not confirmed the thaw.</summary>
    public bool IsOverdue(HostInstant now) => !thawed && Deadline.Until(now) > FreezeGuard.Promise;

    private async Task RunAsync(CancellationToken abandon)
    {
        using var about = logger.BeginScope(Fields(file.Lease));
        var patience = FirstPatience;
        var forGood = false;
        ConfirmedThaw? last = null;
        while (true)
        {
            var pause = Pause;
            try
            {
                if (await CurrentAsync(abandon).ConfigureAwait(false) is not { } lease)
                {
                    return;
                }

                if (!forGood)
                {
                    // Asked for before the guest is: a freeze that is on its way now is in front of this thaw in the agent's channel.
                    forGood = lease.Lease is not { MayFreezeLater: true };
                    last = await ThawAsync(lease, last, patience, abandon).ConfigureAwait(false);
                    patience = FirstPatience;
                    thawed = true;
                    Report(Concern.Agent, null);
                    Report(Concern.Holder, forGood ? null : $"{lease.Lease!.Holder} may still freeze it");
                }

                if (forGood)
                {
                    pause = PauseForDisk;
                    await EndAsync(last!, abandon).ConfigureAwait(false);
                    return;
                }
            }
            catch (OperationCanceledException) when (abandon.IsCancellationRequested)
            {
                return;
            }
            // Whatever it is, this guest is asked again, and the others are not concerned.
            catch (Exception e)
            {
                forGood &= pause == PauseForDisk;
                Report(forGood ? Concern.Directory : Concern.Agent, e.Message);
                patience = patience * 2 < LongestPatience ? patience * 2 : LongestPatience;
            }

            try
            {
                await Task.Delay(pause, time, abandon).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>What every line about a lease has, named as in all logs: the request and, for a lease of ours, the run that the freeze is part of.</summary>
    private static Dictionary<string, object> Fields(FreezeLease? lease)
    {
        var fields = new Dictionary<string, object>();
        (string Name, string? Value)[] known =
        [
            ("request_id", lease?.RequestId), ("global_request_id", lease?.GlobalRequestId), ("project_id", lease?.ProjectId), ("run_id", lease?.RunId), ("trace_id", lease?.TraceId),
        ];
        foreach (var (name, value) in known)
        {
            if (value is not null)
            {
                fields[name] = value;
            }
        }

        if (ImageId.TryParse(lease?.RunToken, null, out var image))
        {
            fields["workflow_id"] = Names.CreateImageWorkflow(image);
        }

        return fields;
    }

    /// <summary>Waits for the deadline and returns what the file says then; null when the lease is over.</summary>
    private async Task<OpenLeaseFile?> CurrentAsync(CancellationToken abandon)
    {
        while (true)
        {
            if (Current() is not { } now)
            {
                return null;
            }

            Deadline = now.Lease?.Deadline ?? Deadline;
            var remaining = clock.Now.Until(Deadline) + (guard.Leads ? TimeSpan.Zero : FreezeGuard.BackupGrace);
            if (remaining <= TimeSpan.Zero)
            {
                return now;
            }

            // In short steps: timers stand still while the host sleeps, the deadline does not; and a guard that stands by may have to lead.
            await Task.Delay(remaining < Pause ? remaining : Pause, time, abandon).ConfigureAwait(false);
        }
    }

    private OpenLeaseFile? Current()
    {
        try
        {
            var now = leases.Look(file.Name);
            if (now is not null || file.Lease is not { } lease)
            {
                return now?.Lease?.RunToken == file.Lease?.RunToken ? now : null;
            }

            // Gone without an end: somebody has removed it, and the guest may be frozen all the same.
            return leases.ReadEnded(lease.Server)?.RunToken == lease.RunToken ? null : file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SnapshotFlowException)
        {
            // What was read before has to do: a lost disk does not keep a guest frozen.
            Report(Concern.Directory, e.Message);
            return file;
        }
    }

    /// <summary>Thaws and returns the last thaw that found the guest frozen, or else the first that confirmed it is not.</summary>
    private async Task<ConfirmedThaw> ThawAsync(OpenLeaseFile lease, ConfirmedThaw? before, TimeSpan patience, CancellationToken abandon)
    {
        if (lease.AgentAddress is null)
        {
            throw new SnapshotFlowException(
                ErrorKind.InvalidRequest, $"'{lease.Name}' is no freeze lease and names no agent; see that the guest is thawed, then remove the file from open/");
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(abandon);
        deadline.CancelAfter(patience);
        var asked = AskAsync(agents.Open(lease.AgentAddress), before, deadline.Token);
        while (await Task.WhenAny(asked, Task.Delay(Pause, time, CancellationToken.None)).ConfigureAwait(false) != asked)
        {
            FreeChannel(lease);
        }

        try
        {
            return await asked.ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!abandon.IsCancellationRequested)
        {
            throw new SnapshotFlowException(ErrorKind.BackendUnavailable, $"the agent did not answer within {patience.TotalSeconds:0} s", e);
        }
    }

    private async Task<ConfirmedThaw> AskAsync(IGuestAgent agent, ConfirmedThaw? before, CancellationToken ct)
    {
        if (before is not null && await agent.StatusAsync(ct).ConfigureAwait(false) is GuestFreezeStatus.Thawed)
        {
            return before;
        }

        var thaw = await ConfirmedThaw.AskAsync(agent, time, ct).ConfigureAwait(false);
        return before is null || thaw.WasFrozen ? thaw : before;
    }

    /// <summary>
    /// An agent talks to one client at a time. A client that was stopped in the middle keeps the agent from everybody until it goes on, so it may not: past the
    /// deadline a stopped holder, or a stopped guard, is ended.
    /// </summary>
    private void FreeChannel(OpenLeaseFile lease)
    {
        foreach (var process in new[] { lease.Lease?.Holder, GuardHeartbeat.Read(leases)?.Process })
        {
            try
            {
                if (process is { } other && other != ProcessIdentity.Current && other.KillIfStoppedInConversation())
                {
                    Log.Killed(logger, other.Id, Name);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                Report(Concern.Holder, e.Message);
            }
        }
    }

    private async Task EndAsync(ConfirmedThaw thaw, CancellationToken abandon)
    {
        if (file.Lease is not { } lease)
        {
            Log.SetAside(logger, Name, await leases.SetAsideAsync(file.Name, clock.Now, abandon).ConfigureAwait(false));
            return;
        }

        var end = new FreezeLeaseEnd(LeaseEnder.Guard, thaw.At, thaw.WasFrozen, Expired: true, thaw.AgentError);
        var ended = await leases.EndAsync(lease.Server, lease.RunToken, end, abandon).ConfigureAwait(false);
        if (ended?.End == end)
        {
            Log.Ended(logger, Name, lease.RunToken, thaw.WasFrozen, thaw.At);
        }
    }

    private void Report(Concern concern, string? now)
    {
        if (now is null)
        {
            problems.Remove(concern);
        }
        else if (problems.GetValueOrDefault(concern) != now)
        {
            problems[concern] = now;
            Log.NotYet(logger, Name, file.Lease?.RunToken, now);
        }
    }

    /// <summary>What keeps a freeze from being over; each is logged when it changes.</summary>
    private enum Concern
    {
        Agent,
        Holder,
        Directory,
    }

    private static partial class Log
    {
        [LoggerMessage(111, LogLevel.Error, "Server {ServerId}, run {RunToken}: the freeze is past its deadline and not over, trying on: {Reason}")]
        public static partial void NotYet(ILogger logger, string serverId, string? runToken, string reason);

        [LoggerMessage(112, LogLevel.Warning, "Server {ServerId}, run {RunToken}: the freeze deadline passed, thawed at {ThawedAt:O}; was frozen: {WasFrozen}")]
        public static partial void Ended(ILogger logger, string serverId, string runToken, bool wasFrozen, DateTimeOffset thawedAt);

        [LoggerMessage(113, LogLevel.Error, "Process {ProcessId} was stopped while it kept the agent of server {ServerId} from others past the freeze deadline; killed")]
        public static partial void Killed(ILogger logger, int processId, string serverId);

        [LoggerMessage(114, LogLevel.Error, "The lease file of server {ServerId} could not be read; the guest is thawed, the file is now {Path}")]
        public static partial void SetAside(ILogger logger, string serverId, string path);
    }
}
