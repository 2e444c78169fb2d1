using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using SnapshotFlow.Drivers;
using SnapshotFlow.Drivers.Leases;
using SnapshotFlow.Model;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Activities;

namespace SnapshotFlow.Activities;

/// <summary>
/// Freezes and thaws guests of one compute host, under leases that a guard outside this process watches. Freeze and thaw of one guest never overlap; what
/// happened stands in the lease, so a repeated step gives the answer of the first, also after this process was killed in between.
/// </summary>
public sealed partial class GuestActivities(
    IGuestAgents agents, FreezeLeaseDirectory leases, IHostClock clock, TimeProvider time, ILogger<GuestActivities> logger) : IGuestActivities
{
    private readonly ConcurrentDictionary<ServerId, SemaphoreSlim> turns = [];
    private readonly Heartbeats heartbeats = new(time);

    /// <inheritdoc/>
    [Activity]
    public Task<GuestAnswer> ProbeGuestAsync(ProbeGuestInput input) => ActivityErrors.Translate(async () =>
    {
        if (GuardHeartbeat.Doubt(leases, clock) is { } doubt)
        {
            return new GuestAnswer(false, doubt);
        }

        var probe = await agents.Open(input.AgentAddress).ProbeAsync(ActivityExecutionContext.Current.CancellationToken);
        return probe switch
        {
            { CanFreeze: false } => new GuestAnswer(false, probe.Reason ?? "the guest agent cannot freeze file systems"),
            { Status: GuestFreezeStatus.Frozen } => new GuestAnswer(false, "the guest is frozen already, by somebody else"),
            _ => new GuestAnswer(true, null),
        };
    });

    /// <inheritdoc/>
    [Activity]
    public Task<QuiesceResult> QuiesceAsync(QuiesceInput input) => InTurnAsync(input.Server, async ct =>
    {
        var agent = agents.Open(input.AgentAddress);
        var lease = await TakeLeaseAsync(input, agent, ct);
        return new QuiesceResult(lease.FrozenAt ?? await FreezeAsync(lease, agent, ct), lease.DeadlineAt);
    });

    /// <inheritdoc/>
    [Activity]
    public Task<UnquiesceResult> UnquiesceAsync(UnquiesceInput input) => InTurnAsync(input.Server, async ct =>
    {
        if (input.MovedTo is { } host)
        {
            return await EndLeaseOfMovedAsync(input, host, ct);
        }

        if (IsUnreadable(input.Server))
        {
            return await ThawWithoutLeaseAsync(input, leaseLost: true, ct);
        }

        var lease = leases.ReadOpen(input.Server);
        if (lease?.RunToken == input.RunToken)
        {
            return await ThawUnderLeaseAsync(lease, agents.Open(input.AgentAddress), ct);
        }

        if (leases.ReadEnded(input.Server) is { End: { } end } over && over.RunToken == input.RunToken)
        {
            return Answer(over, end);
        }

        return lease is null
            ? await ThawWithoutLeaseAsync(input, leaseLost: false, ct)
            : new UnquiesceResult(false, null, clock.UtcNow, LeaseExpired: true, $"the guest is frozen for another run, {lease.RunToken}");
    });

    /// <summary>Writes the lease, or finds the one that an earlier attempt wrote.</summary>
    private async Task<FreezeLease> TakeLeaseAsync(QuiesceInput input, IGuestAgent agent, CancellationToken ct)
    {
        if (GuardHeartbeat.Doubt(leases, clock) is { } doubt)
        {
            throw new SnapshotFlowException(ErrorKind.QuiesceFailed, $"server {input.Server}: {doubt}");
        }

        if (leases.ReadOpen(input.Server) is null && await agent.StatusAsync(ct) is GuestFreezeStatus.Frozen)
        {
            throw new SnapshotFlowException(ErrorKind.StaleStatus, $"server {input.Server}: somebody else has frozen the guest; thaw it first");
        }

        try
        {
            return (await leases.UpdateAsync(input.Server, (open, ended) => Claim(input, open, ended), ct))!;
        }
        catch (IOException e)
        {
            throw new SnapshotFlowException(ErrorKind.QuiesceFailed, $"server {input.Server}: the freeze lease cannot be written: {e.Message}", e);
        }
    }

    private FreezeLease Claim(QuiesceInput input, FreezeLease? open, FreezeLease? ended)
    {
        var now = clock.Now;
        return (open, ended) switch
        {
            ({ } other, _) when other.RunToken != input.RunToken =>
                throw new SnapshotFlowException(ErrorKind.StaleStatus, $"server {input.Server}: the guest is frozen for run {other.RunToken}"),
            ({ } mine, _) when mine.HasExpired(now) => throw Over(mine),
            ({ } mine, _) when mine.MayFreezeLater && mine.Holder != ProcessIdentity.Current =>
                throw new SnapshotFlowException(ErrorKind.BackendUnavailable, $"server {input.Server}: {mine.Holder} is freezing the guest for the same run"),
            ({ } mine, _) => mine with { Holder = ProcessIdentity.Current, FreezePending = mine.FrozenAt is null },
            (null, { } last) when last.RunToken == input.RunToken => throw Over(last),
            _ => new(
                input.Server, input.RunToken, input.AgentAddress, clock.UtcNow, clock.UtcNow + input.Deadline, now.Plus(input.Deadline),
                ProcessIdentity.Current, FreezePending: true, FrozenAt: null, End: null)
            {
                RequestId = input.RequestId,
                GlobalRequestId = input.GlobalRequestId,
                ProjectId = input.ProjectId,
                RunId = ActivityExecutionContext.Current.Info.WorkflowRunId,
                TraceId = System.Diagnostics.Activity.Current is { IdFormat: System.Diagnostics.ActivityIdFormat.W3C } span ? span.TraceId.ToHexString() : null,
            },
        };
    }

    /// <summary>
    /// Freezes and confirms it in the lease. The call does not outlive the lease, and a freeze that could not be confirmed in time is thawed at once: whoever
    /// ended the lease meanwhile does not look at this guest again.
    /// </summary>
    private async Task<DateTimeOffset> FreezeAsync(FreezeLease lease, IGuestAgent agent, CancellationToken ct)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var remaining = clock.Now.Until(lease.Deadline);
        deadline.CancelAfter(remaining > TimeSpan.Zero ? remaining : TimeSpan.Zero);
        try
        {
            // Frozen under a lease that nobody else may use: an earlier attempt did it, and its answer was lost.
            var frozenAt = await agent.StatusAsync(deadline.Token) is GuestFreezeStatus.Frozen ? clock.UtcNow : (await agent.FreezeAsync(deadline.Token)).At;
            await leases.UpdateAsync(
                lease.Server,
                (open, _) => open?.RunToken == lease.RunToken && !open.HasExpired(clock.Now) ? open with { FreezePending = false, FrozenAt = frozenAt } : throw Over(lease),
                deadline.Token);
            return frozenAt;
        }
        catch (Exception e)
        {
            await ThawFailedFreezeAsync(lease, agent);
            if (e is OperationCanceledException && !ct.IsCancellationRequested)
            {
                throw new SnapshotFlowException(ErrorKind.QuiesceFailed, $"server {lease.Server}: the guest did not confirm the freeze within its deadline", e);
            }

            throw;
        }
    }

    /// <summary>Thaws whatever a failed freeze may have done, and says in the lease that it comes to no freeze any more. The guard does what fails here.</summary>
    private async Task ThawFailedFreezeAsync(FreezeLease lease, IGuestAgent agent)
    {
        try
        {
            await ConfirmedThaw.AskAsync(agent, time, CancellationToken.None);
        }
        catch (SnapshotFlowException e)
        {
            Log.NotThawed(logger, lease.Server, lease.RunToken, e.Message);
        }

        await TryUpdateAsync(lease, open => open with { FreezePending = false }, CancellationToken.None);
    }

    private async Task<UnquiesceResult> ThawUnderLeaseAsync(FreezeLease lease, IGuestAgent agent, CancellationToken ct)
    {
        if (lease.Holder != ProcessIdentity.Current && !lease.MayFreezeLater)
        {
            await TryUpdateAsync(lease, open => open with { Holder = ProcessIdentity.Current, FreezePending = false }, ct);
        }

        var thaw = await ConfirmedThaw.AskAsync(agent, time, ct);
        var end = new FreezeLeaseEnd(LeaseEnder.Run, thaw.At, thaw.WasFrozen, lease.HasExpired(clock.Now) || (lease.FrozenAt is not null && !thaw.WasFrozen), thaw.AgentError);

        // The first end counts: the guard may have been quicker. A holder elsewhere that may still freeze is the guard's, and from now on at once.
        var over = await TryUpdateAsync(
            lease,
            open => open.MayFreezeLater && open.Holder != ProcessIdentity.Current ? open with { Deadline = clock.Now } : open with { FreezePending = false, End = end },
            ct);
        return over is { End: { } known } ? Answer(over, known) : Answer(lease, end);
    }

    /// <summary>
    /// The freeze was never asked for here, or nobody can tell any more how long it may go on. Thawing a thawed guest costs one question.
    /// </summary>
    private async Task<UnquiesceResult> ThawWithoutLeaseAsync(UnquiesceInput input, bool leaseLost, CancellationToken ct)
    {
        var thaw = await ConfirmedThaw.AskAsync(agents.Open(input.AgentAddress), time, ct);
        var end = new FreezeLeaseEnd(LeaseEnder.Run, thaw.At, thaw.WasFrozen, Expired: leaseLost, thaw.AgentError);
        var lease = new FreezeLease(
            input.Server, input.RunToken, input.AgentAddress, thaw.At, thaw.At, clock.Now, ProcessIdentity.Current, FreezePending: false, FrozenAt: null, end);
        if (!leaseLost)
        {
            // Written so that a freeze of this run that comes late is refused.
            await TryUpdateAsync(input.Server, input.RunToken, (open, _) => open is null ? lease : null, ct);
        }

        return Answer(lease, end);
    }

    /// <summary>The guest is thawed, elsewhere: nobody here need look for it any more, unless a stopped worker may still call for a freeze.</summary>
    private async Task<UnquiesceResult> EndLeaseOfMovedAsync(UnquiesceInput input, string host, CancellationToken ct)
    {
        var end = new FreezeLeaseEnd(LeaseEnder.Run, clock.UtcNow, WasFrozen: false, Expired: true, $"the server moved to host {host} and was thawed there");
        var over = await TryUpdateAsync(
            input.Server,
            input.RunToken,
            (open, ended) => open?.RunToken == input.RunToken && !(open.MayFreezeLater && open.Holder != ProcessIdentity.Current)
                ? open with { FreezePending = false, End = end }
                : ended?.RunToken == input.RunToken ? ended : null,
            ct);
        return over is { End: { } known } ? Answer(over, known) : new(false, null, end.ThawedAt, end.Expired, end.AgentError);
    }

    private bool IsUnreadable(ServerId server)
    {
        try
        {
            leases.ReadOpen(server);
            return false;
        }
        catch (SnapshotFlowException e)
        {
            Log.Unreadable(logger, e.Message);
            return true;
        }
    }

    /// <summary>Changes the lease of a run while it is open; returns it as it is then, or as it ended. Null when it is unknown.</summary>
    private Task<FreezeLease?> TryUpdateAsync(FreezeLease lease, Func<FreezeLease, FreezeLease> change, CancellationToken ct) => TryUpdateAsync(
        lease.Server,
        lease.RunToken,
        (open, ended) => open?.RunToken == lease.RunToken ? change(open) : ended?.RunToken == lease.RunToken ? ended : null,
        ct);

    /// <summary>As the directory's own; null when it cannot be written, which the guard sees to later.</summary>
    private async Task<FreezeLease?> TryUpdateAsync(ServerId server, string runToken, Func<FreezeLease?, FreezeLease?, FreezeLease?> change, CancellationToken ct)
    {
        try
        {
            return await leases.UpdateAsync(server, change, ct);
        }
        catch (IOException e)
        {
            Log.LeaseNotWritten(logger, server, runToken, e.Message);
            return null;
        }
    }

    private static SnapshotFlowException Over(FreezeLease lease) =>
        new(ErrorKind.StaleStatus, $"server {lease.Server}: the freeze of run {lease.RunToken} is over");

    private static UnquiesceResult Answer(FreezeLease lease, FreezeLeaseEnd end) => new(end.WasFrozen, lease.FrozenAt, end.ThawedAt, end.Expired, end.AgentError);

    private Task<T> InTurnAsync<T>(ServerId server, Func<CancellationToken, Task<T>> step) => ActivityErrors.Translate(() => heartbeats.WhileAsync(async ct =>
    {
        var turn = turns.GetOrAdd(server, _ => new SemaphoreSlim(1, 1));
        await turn.WaitAsync(ct);
        try
        {
            return await step(ct);
        }
        finally
        {
            turn.Release();
        }
    }));

    private static partial class Log
    {
        [LoggerMessage(4, LogLevel.Warning, "Server {ServerId}, run {RunToken}: the thaw after the failed freeze is not confirmed: {Reason}")]
        public static partial void NotThawed(ILogger logger, ServerId serverId, string runToken, string reason);

        [LoggerMessage(5, LogLevel.Error, "Server {ServerId}, run {RunToken}: the freeze lease cannot be written, so the guard will end it: {Reason}")]
        public static partial void LeaseNotWritten(ILogger logger, ServerId serverId, string runToken, string reason);

        [LoggerMessage(6, LogLevel.Error, "A guest is thawed without its lease: {Reason}")]
        public static partial void Unreadable(ILogger logger, string reason);
    }
}
