namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>Signals and cancel requests from outside.</summary>
internal sealed partial class Run
{
    private readonly HashSet<string> signalRequestIds = new(StringComparer.Ordinal);

    public bool CancelRequested { get; private set; }

    /// <summary>A request id that was seen before changes nothing.</summary>
    /// <param name="endsDelay">Whether a start delay ends with it, which only signal-with-start does.</param>
    public void Signal(UnitOfWork work, WorkflowExecutionSignaledEventAttributes signal, IEnumerable<Link>? links = null, bool endsDelay = false)
    {
        if (!IsOpen)
        {
            throw Fault.AlreadyCompleted();
        }

        if (signal.RequestId.Length > 0 && signalRequestIds.Contains(signal.RequestId))
        {
            return;
        }

        var e = new HistoryEvent { WorkflowExecutionSignaledEventAttributes = signal };
        e.Links.Add(links ?? []);
        Occur(work, e);
        if (endsDelay && IsDelayed && Started.Initiator == ContinueAsNewInitiator.Unspecified && Started.CronSchedule.Length == 0)
        {
            EndFirstTaskBackoff(work);
        }
    }

    /// <summary>A closed run, and a second request, change nothing and are no error.</summary>
    public void RequestCancel(UnitOfWork work, WorkflowExecutionCancelRequestedEventAttributes request, IEnumerable<Link>? links = null)
    {
        if (!IsOpen || CancelRequested || buffered.Any(b => b.WorkflowExecutionCancelRequestedEventAttributes is not null))
        {
            return;
        }

        var e = new HistoryEvent { WorkflowExecutionCancelRequestedEventAttributes = request };
        e.Links.Add(links ?? []);
        Occur(work, e);
        if (IsDelayed)
        {
            EndFirstTaskBackoff(work);
        }
    }

    private void ApplySignaled(HistoryEvent e)
    {
        if (e.WorkflowExecutionSignaledEventAttributes.RequestId is { Length: > 0 } requestId)
        {
            signalRequestIds.Add(requestId);
        }
    }
}
