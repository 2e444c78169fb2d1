namespace SnapshotFlow.TemporalDev.Engine;

/// <summary>What callers attach to a run that is already open.</summary>
internal sealed partial class Run
{
    private readonly List<(Callback Callback, DateTimeOffset Since)> attachedCallbacks = [];
    private readonly List<(string RequestId, long EventId, EventType Type)> attachedRequests = [];

    /// <summary>Whether a start with this request id led to this run.</summary>
    public bool HasRequest(string requestId) => StartRequestId == requestId || attachedRequests.Any(a => a.RequestId == requestId);

    /// <summary>A start that found this run open asks that its request id, callbacks and links are kept with the run.</summary>
    public void Attach(UnitOfWork work, StartWorkflowExecutionRequest request)
    {
        if (request.OnConflictOptions is not { } options || attachedRequests.Any(a => a.RequestId == request.RequestId))
        {
            return;
        }

        if (!options.AttachRequestId && !options.AttachCompletionCallbacks && !options.AttachLinks)
        {
            return;
        }

        var attributes = new WorkflowExecutionOptionsUpdatedEventAttributes { AttachedRequestId = options.AttachRequestId ? request.RequestId : "" };
        if (options.AttachCompletionCallbacks)
        {
            attributes.AttachedCompletionCallbacks.Add(request.CompletionCallbacks);
        }

        var e = new HistoryEvent { WorkerMayIgnore = true, WorkflowExecutionOptionsUpdatedEventAttributes = attributes };
        if (options.AttachLinks)
        {
            e.Links.Add(request.Links);
        }

        if (task.Phase == WorkflowTaskPhase.Started)
        {
            Buffer(work, e);
        }
        else
        {
            Append(work, e);
        }
    }

    private void ApplyOptions(HistoryEvent e)
    {
        attachedCallbacks.AddRange(e.WorkflowExecutionOptionsUpdatedEventAttributes.AttachedCompletionCallbacks.Select(c => (c, Time.ProtoTime.Instant(e.EventTime))));
        if (e.WorkflowExecutionOptionsUpdatedEventAttributes.AttachedRequestId is { Length: > 0 } requestId)
        {
            attachedRequests.Add((requestId, e.EventId, e.EventType));
        }
    }
}
