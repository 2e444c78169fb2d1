using SnapshotFlow.Stack.Processes;

namespace SnapshotFlow.Stack;

/// <summary>A process of the stack that can be killed, stopped and started again.</summary>
public enum StackPart
{
    /// <summary>The HTTP process.</summary>
    Api,

    /// <summary>Workflows and record-keeping.</summary>
    ControlWorker,

    /// <summary>Freeze and thaw.</summary>
    ComputeWorker,

    /// <summary>Cut and delete.</summary>
    VolumeWorker,

    /// <summary>The freeze guard.</summary>
    Guard,

    /// <summary>The embedded Temporal.</summary>
    Temporal,

    /// <summary>PostgreSQL, with all of its processes.</summary>
    Postgres,
}

/// <summary>The parts of a stack one by one, for those who break them.</summary>
public sealed partial class DevelopmentStack
{
    /// <summary>The process of a part as it is now.</summary>
    public ChildProcess Part(StackPart part) => part switch
    {
        StackPart.Api => ApiProcess,
        StackPart.ControlWorker => workers[WorkerRole.Control],
        StackPart.ComputeWorker => workers[WorkerRole.Compute],
        StackPart.VolumeWorker => workers[WorkerRole.Volume],
        StackPart.Guard => workers[WorkerRole.Guard],
        StackPart.Temporal => Temporal.Process ?? throw new StackException("Temporal was not started here"),
        StackPart.Postgres => Postgres.Process,
        _ => throw new ArgumentOutOfRangeException(nameof(part), part, "no such part"),
    };

    /// <summary>Starts a part again that has ended. Does not wait until it is ready, except for PostgreSQL.</summary>
    public async Task StartAgainAsync(StackPart part, CancellationToken ct)
    {
        switch (part)
        {
            case StackPart.Api:
                ApiProcess = await ApiProcess.StartAgainAsync();
                break;
            case StackPart.ControlWorker:
                await StartWorkerAsync(WorkerRole.Control, ct);
                break;
            case StackPart.ComputeWorker:
                await StartWorkerAsync(WorkerRole.Compute, ct);
                break;
            case StackPart.VolumeWorker:
                await StartWorkerAsync(WorkerRole.Volume, ct);
                break;
            case StackPart.Guard:
                await StartWorkerAsync(WorkerRole.Guard, ct);
                break;
            case StackPart.Temporal:
                await Temporal.StartAgainAsync();
                break;
            case StackPart.Postgres:
                await Postgres.StartAgainAsync(ct);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(part), part, "no such part");
        }
    }
}
