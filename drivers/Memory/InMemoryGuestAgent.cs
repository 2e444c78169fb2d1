using SnapshotFlow.Model;

namespace SnapshotFlow.Drivers.Memory;

/// <summary>What an <see cref="InMemoryGuestAgent"/> does instead of answering a call properly.</summary>
public enum GuestFault
{
    /// <summary>Answers with an error and does nothing: <see cref="ErrorKind.BackendRefused"/>.</summary>
    Refuse,

    /// <summary>Does nothing and never answers; the call ends when it is cancelled or after <see cref="InMemoryGuestAgent.CallTimeout"/>: <see cref="ErrorKind.BackendUnavailable"/>.</summary>
    Hang,

    /// <summary>Does what was asked, then the answer is lost: <see cref="ErrorKind.BackendUnavailable"/>.</summary>
    LoseAnswer,

    /// <summary>Answers that nothing was frozen, and freezes nothing: <see cref="ErrorKind.BackendRefused"/>. For freeze only.</summary>
    FreezeNothing,
}

/// <summary>The calls of <see cref="IGuestAgent"/>.</summary>
public enum GuestCall
{
    /// <summary><see cref="IGuestAgent.ProbeAsync"/>.</summary>
    Probe,

    /// <summary><see cref="IGuestAgent.FreezeAsync"/>.</summary>
    Freeze,

    /// <summary><see cref="IGuestAgent.ThawAsync"/>.</summary>
    Thaw,

    /// <summary><see cref="IGuestAgent.StatusAsync"/>.</summary>
    Status,
}

/// <summary>
/// A guest in this process. What it writes goes through <see cref="WriteAsync"/> and really waits while it is frozen; a freeze returns only when no write
/// is under way. Faults are scripted with <see cref="Script"/>.
/// </summary>
public sealed class InMemoryGuestAgent : IGuestAgent
{
    private readonly TimeProvider time;
    private readonly int fileSystems;
    private readonly Lock gate = new();
    private readonly List<(GuestCall Call, GuestFault Fault)> script = [];
    private TaskCompletionSource? frozen;
    private TaskCompletionSource? idle;
    private int writers;

    /// <summary>A thawed guest.</summary>
    /// <param name="time">Gives the instants in the answers.</param>
    /// <param name="fileSystems">How many file systems it has, at least 1.</param>
    public InMemoryGuestAgent(TimeProvider time, int fileSystems = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(fileSystems, 1);
        this.time = time;
        this.fileSystems = fileSystems;
    }

    /// <summary>How long a hanging call waits before it fails. Default 5 s.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether the guest is frozen at this moment, without asking its agent.</summary>
    public bool IsFrozen
    {
        get { lock (gate) { return frozen is not null; } }
    }

    /// <summary>How many freezes took effect.</summary>
    public int Freezes { get; private set; }

    /// <summary>How many thaws of a frozen guest took effect.</summary>
    public int Thaws { get; private set; }

    /// <summary>The next <paramref name="times"/> calls of this kind go wrong in this way; scripts for one call are used in the order given.</summary>
    public void Script(GuestCall call, GuestFault fault, int times = 1)
    {
        lock (gate)
        {
            for (var i = 0; i < times; i++)
            {
                script.Add((call, fault));
            }
        }
    }

    /// <summary>Runs one write of the guest: begins when the guest is thawed, and no freeze completes before it has ended.</summary>
    public async Task WriteAsync(Func<Task> write, CancellationToken ct)
    {
        while (true)
        {
            Task thawed;
            lock (gate)
            {
                if (frozen is null)
                {
                    writers++;
                    break;
                }

                thawed = frozen.Task;
            }

            await thawed.WaitAsync(ct).ConfigureAwait(false);
        }

        try
        {
            await write().ConfigureAwait(false);
        }
        finally
        {
            lock (gate)
            {
                if (--writers == 0)
                {
                    idle?.TrySetResult();
                }
            }
        }
    }

    /// <inheritdoc/>
    public async Task<GuestProbe> ProbeAsync(CancellationToken ct)
    {
        try
        {
            await FaultBeforeAsync(GuestCall.Probe, ct).ConfigureAwait(false);
        }
        catch (SnapshotFlowException e)
        {
            return new(Answers: false, Version: null, CanFreeze: false, Status: null, e.Message);
        }

        return new(Answers: true, Version: "in-memory", CanFreeze: true, Now(), Reason: null);
    }

    /// <inheritdoc/>
    public async Task<GuestFreeze> FreezeAsync(CancellationToken ct)
    {
        var fault = await FaultBeforeAsync(GuestCall.Freeze, ct).ConfigureAwait(false);
        if (fault == GuestFault.FreezeNothing)
        {
            throw new SnapshotFlowException(ErrorKind.BackendRefused, "freeze: the agent froze 0 file systems, so the guest is not frozen");
        }

        Task quiet;
        lock (gate)
        {
            if (frozen is not null)
            {
                throw new SnapshotFlowException(ErrorKind.StaleStatus, "freeze: the guest is frozen already; thaw it first");
            }

            frozen = new(TaskCreationOptions.RunContinuationsAsynchronously);
            idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Freezes++;
            quiet = writers == 0 ? Task.CompletedTask : idle.Task;
        }

        // From here on the freeze outlives this call, as the contract says.
        await quiet.WaitAsync(ct).ConfigureAwait(false);
        FaultAfter(GuestCall.Freeze, fault);
        return new(fileSystems, time.GetUtcNow());
    }

    /// <inheritdoc/>
    public async Task<GuestThaw> ThawAsync(CancellationToken ct)
    {
        var fault = await FaultBeforeAsync(GuestCall.Thaw, ct).ConfigureAwait(false);
        bool was;
        lock (gate)
        {
            was = frozen is not null;
            Thaws += was ? 1 : 0;
            frozen?.TrySetResult();
            frozen = null;
        }

        FaultAfter(GuestCall.Thaw, fault);
        return new(was ? fileSystems : 0, time.GetUtcNow(), was);
    }

    /// <inheritdoc/>
    public async Task<GuestFreezeStatus> StatusAsync(CancellationToken ct)
    {
        FaultAfter(GuestCall.Status, await FaultBeforeAsync(GuestCall.Status, ct).ConfigureAwait(false));
        return Now();
    }

    private GuestFreezeStatus Now() => IsFrozen ? GuestFreezeStatus.Frozen : GuestFreezeStatus.Thawed;

    private async Task<GuestFault?> FaultBeforeAsync(GuestCall call, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        var fault = Next(call);
        switch (fault)
        {
            case GuestFault.Refuse:
                throw new SnapshotFlowException(ErrorKind.BackendRefused, $"{call}: the agent refused, as scripted");
            case GuestFault.Hang:
                await Task.Delay(CallTimeout, time, ct).ConfigureAwait(false);
                throw new SnapshotFlowException(ErrorKind.BackendUnavailable, $"{call}: the agent did not answer within {CallTimeout.TotalSeconds} s");
            default:
                return fault;
        }
    }

    private static void FaultAfter(GuestCall call, GuestFault? fault)
    {
        if (fault == GuestFault.LoseAnswer)
        {
            throw new SnapshotFlowException(ErrorKind.BackendUnavailable, $"{call}: the connection to the agent was lost before the answer");
        }
    }

    private GuestFault? Next(GuestCall call)
    {
        lock (gate)
        {
            var at = script.FindIndex(s => s.Call == call);
            if (at < 0)
            {
                return null;
            }

            var fault = script[at].Fault;
            script.RemoveAt(at);
            return fault;
        }
    }
}
