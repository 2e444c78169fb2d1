using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Temporalio.Api.Command.V1;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Failure.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.Protocol.V1;
using Temporalio.Api.TaskQueue.V1;
using Temporalio.Api.WorkflowService.V1;
using ITemporalClient = Temporalio.Client.ITemporalClient;
using WorkflowService = Temporalio.Client.WorkflowService;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>
/// A worker made by hand: it polls and answers with the protocol's own messages, so that a test can do what no well-behaved
/// worker does. It works on one run and one task queue of its own.
/// </summary>
internal sealed class RawWorker(ITemporalClient client)
{
    public const string Namespace = "default";

    public WorkflowService Service => client.Connection.WorkflowService;

    public string Queue { get; } = $"queue-{Guid.NewGuid()}";

    public string WorkflowId { get; } = $"workflow-{Guid.NewGuid()}";

    public string RunId { get; private set; } = "";

    public TaskQueue TaskQueue => new() { Name = Queue, Kind = TaskQueueKind.Normal };

    public WorkflowExecution Execution => new() { WorkflowId = WorkflowId, RunId = RunId };

    public static Payloads Text(string text) => new()
    {
        Payloads_ = { new Payload { Metadata = { ["encoding"] = ByteString.CopyFromUtf8("json/plain") }, Data = ByteString.CopyFromUtf8($"\"{text}\"") } },
    };

    public static Duration Seconds(double seconds) => Duration.FromTimeSpan(TimeSpan.FromSeconds(seconds));

    public StartWorkflowExecutionRequest StartRequest() => new()
    {
        Namespace = Namespace,
        WorkflowId = WorkflowId,
        WorkflowType = new() { Name = "raw" },
        TaskQueue = TaskQueue,
        Identity = "raw-client",
        RequestId = Guid.NewGuid().ToString(),
    };

    public async Task<StartWorkflowExecutionResponse> StartAsync(Action<StartWorkflowExecutionRequest>? change = null)
    {
        var request = StartRequest();
        change?.Invoke(request);
        var response = await Service.StartWorkflowExecutionAsync(request);
        RunId = response.RunId;
        return response;
    }

    /// <summary>The next workflow task of a queue; an empty answer counts as a failed expectation.</summary>
    public async Task<PollWorkflowTaskQueueResponse> PollAsync(string? stickyQueue = null)
    {
        var task = await TryPollAsync(TimeSpan.FromSeconds(30), stickyQueue);
        Assert.False(task.TaskToken.IsEmpty, "no workflow task came");
        return task;
    }

    public Task<PollWorkflowTaskQueueResponse> TryPollAsync(TimeSpan wait, string? stickyQueue = null) =>
        Service.PollWorkflowTaskQueueAsync(
            new()
            {
                Namespace = Namespace,
                TaskQueue = stickyQueue is null ? TaskQueue : new TaskQueue { Name = stickyQueue, Kind = TaskQueueKind.Sticky, NormalName = Queue },
                Identity = "raw-worker",
            },
            new() { Timeout = wait + TimeSpan.FromSeconds(1) });

    /// <summary>A completion that asks for the run's next tasks on a sticky queue.</summary>
    public Action<RespondWorkflowTaskCompletedRequest> Sticks(string sticky, double secondsToStart) => request => request.StickyAttributes = new()
    {
        WorkerTaskQueue = new() { Name = sticky, Kind = TaskQueueKind.Sticky, NormalName = Queue },
        ScheduleToStartTimeout = Seconds(secondsToStart),
    };

    public Task<RespondWorkflowTaskCompletedResponse> CompleteAsync(PollWorkflowTaskQueueResponse task, params Command[] commands) =>
        CompleteAsync(task, _ => { }, commands);

    public Task<RespondWorkflowTaskCompletedResponse> CompleteAsync(
        PollWorkflowTaskQueueResponse task, Action<RespondWorkflowTaskCompletedRequest> change, params Command[] commands)
    {
        var request = new RespondWorkflowTaskCompletedRequest
        {
            Namespace = Namespace,
            TaskToken = task.TaskToken,
            Identity = "raw-worker",
            Commands = { commands },
        };
        change(request);
        return Service.RespondWorkflowTaskCompletedAsync(request);
    }

    public Task FailAsync(PollWorkflowTaskQueueResponse task) => Service.RespondWorkflowTaskFailedAsync(new()
    {
        Namespace = Namespace,
        TaskToken = task.TaskToken,
        Identity = "raw-worker",
        Cause = WorkflowTaskFailedCause.WorkflowWorkerUnhandledFailure,
        Failure = new Failure { Message = "the worker says so" },
    });

    public async Task<PollActivityTaskQueueResponse> PollActivityAsync(TimeSpan? wait = null)
    {
        var task = await Service.PollActivityTaskQueueAsync(
            new() { Namespace = Namespace, TaskQueue = TaskQueue, Identity = "raw-worker" },
            new() { Timeout = (wait ?? TimeSpan.FromSeconds(30)) + TimeSpan.FromSeconds(1) });
        Assert.False(task.TaskToken.IsEmpty && wait is null, "no activity task came");
        return task;
    }

    public Task CompleteActivityAsync(PollActivityTaskQueueResponse task, string result = "done") => Service.RespondActivityTaskCompletedAsync(new()
    {
        Namespace = Namespace,
        TaskToken = task.TaskToken,
        Identity = "raw-worker",
        Result = Text(result),
    });

    public Task FailActivityAsync(PollActivityTaskQueueResponse task, Action<Failure>? change = null)
    {
        var failure = new Failure { Message = "activity broke", ApplicationFailureInfo = new() { Type = "Broken" } };
        change?.Invoke(failure);
        return Service.RespondActivityTaskFailedAsync(new() { Namespace = Namespace, TaskToken = task.TaskToken, Identity = "raw-worker", Failure = failure });
    }

    public Task SignalAsync(string name, string requestId = "", string runId = "") => Service.SignalWorkflowExecutionAsync(new()
    {
        Namespace = Namespace,
        WorkflowExecution = new() { WorkflowId = WorkflowId, RunId = runId },
        SignalName = name,
        RequestId = requestId.Length > 0 ? requestId : Guid.NewGuid().ToString(),
        Identity = "raw-client",
    });

    public Task CancelAsync() => Service.RequestCancelWorkflowExecutionAsync(new()
    {
        Namespace = Namespace,
        WorkflowExecution = new() { WorkflowId = WorkflowId },
        RequestId = Guid.NewGuid().ToString(),
        Identity = "raw-client",
    });

    public Task TerminateAsync() => Service.TerminateWorkflowExecutionAsync(new()
    {
        Namespace = Namespace,
        WorkflowExecution = new() { WorkflowId = WorkflowId },
        Reason = "test over",
        Identity = "raw-client",
    });

    public Task<DescribeWorkflowExecutionResponse> DescribeAsync(string? runId = null) => Service.DescribeWorkflowExecutionAsync(new()
    {
        Namespace = Namespace,
        Execution = new() { WorkflowId = WorkflowId, RunId = runId ?? "" },
    });

    /// <summary>The whole history, fetched in pages.</summary>
    public async Task<IReadOnlyList<HistoryEvent>> HistoryAsync(string? runId = null, int pageSize = 0)
    {
        var events = new List<HistoryEvent>();
        var token = ByteString.Empty;
        do
        {
            var page = await Service.GetWorkflowExecutionHistoryAsync(new()
            {
                Namespace = Namespace,
                Execution = new() { WorkflowId = WorkflowId, RunId = runId ?? RunId },
                NextPageToken = token,
                MaximumPageSize = pageSize,
            });
            events.AddRange(page.History.Events);
            token = page.NextPageToken;
        }
        while (!token.IsEmpty);
        return events;
    }

    public async Task<IReadOnlyList<EventType>> EventTypesAsync(string? runId = null) => [.. (await HistoryAsync(runId)).Select(e => e.EventType)];

    public async Task AssertEventsAsync(params EventType[] expected) => Assert.Equal(expected, await EventTypesAsync());

    public static Message Protocol(string id, string updateId, IMessage body) => new() { Id = id, ProtocolInstanceId = updateId, Body = Any.Pack(body) };
}

/// <summary>The commands that tests send.</summary>
internal static class Commands
{
    public static Command Complete(string result = "result") => new()
    {
        CommandType = CommandType.CompleteWorkflowExecution,
        CompleteWorkflowExecutionCommandAttributes = new() { Result = RawWorker.Text(result) },
    };

    public static Command Fail(Action<Failure>? change = null)
    {
        var failure = new Failure { Message = "workflow broke", ApplicationFailureInfo = new() { Type = "Broken" } };
        change?.Invoke(failure);
        return new() { CommandType = CommandType.FailWorkflowExecution, FailWorkflowExecutionCommandAttributes = new() { Failure = failure } };
    }

    public static Command CancelWorkflow() => new()
    {
        CommandType = CommandType.CancelWorkflowExecution,
        CancelWorkflowExecutionCommandAttributes = new() { Details = RawWorker.Text("cancelled") },
    };

    public static Command Timer(string id, double seconds) => new()
    {
        CommandType = CommandType.StartTimer,
        StartTimerCommandAttributes = new() { TimerId = id, StartToFireTimeout = RawWorker.Seconds(seconds) },
    };

    public static Command CancelTimer(string id) => new() { CommandType = CommandType.CancelTimer, CancelTimerCommandAttributes = new() { TimerId = id } };

    public static Command Activity(RawWorker worker, string id, Action<ScheduleActivityTaskCommandAttributes>? change = null)
    {
        var attributes = new ScheduleActivityTaskCommandAttributes
        {
            ActivityId = id,
            ActivityType = new() { Name = "act" },
            TaskQueue = worker.TaskQueue,
            StartToCloseTimeout = RawWorker.Seconds(30),
            Input = RawWorker.Text("input"),
        };
        change?.Invoke(attributes);
        return new() { CommandType = CommandType.ScheduleActivityTask, ScheduleActivityTaskCommandAttributes = attributes };
    }

    public static Command CancelActivity(long scheduledEventId) => new()
    {
        CommandType = CommandType.RequestCancelActivityTask,
        RequestCancelActivityTaskCommandAttributes = new() { ScheduledEventId = scheduledEventId },
    };

    public static Command Marker(string name) => new()
    {
        CommandType = CommandType.RecordMarker,
        RecordMarkerCommandAttributes = new() { MarkerName = name, Details = { ["data"] = RawWorker.Text("kept") } },
    };

    public static Command ContinueAsNew(Action<ContinueAsNewWorkflowExecutionCommandAttributes>? change = null)
    {
        var attributes = new ContinueAsNewWorkflowExecutionCommandAttributes { Input = RawWorker.Text("next") };
        change?.Invoke(attributes);
        return new() { CommandType = CommandType.ContinueAsNewWorkflowExecution, ContinueAsNewWorkflowExecutionCommandAttributes = attributes };
    }

    public static Command Child(RawWorker child, Action<StartChildWorkflowExecutionCommandAttributes>? change = null)
    {
        var attributes = new StartChildWorkflowExecutionCommandAttributes
        {
            WorkflowId = child.WorkflowId,
            WorkflowType = new() { Name = "raw-child" },
            TaskQueue = child.TaskQueue,
            Input = RawWorker.Text("input"),
        };
        change?.Invoke(attributes);
        return new() { CommandType = CommandType.StartChildWorkflowExecution, StartChildWorkflowExecutionCommandAttributes = attributes };
    }

    public static Command SignalExternal(string workflowId, bool childOnly = false) => new()
    {
        CommandType = CommandType.SignalExternalWorkflowExecution,
        SignalExternalWorkflowExecutionCommandAttributes = new()
        {
            Execution = new() { WorkflowId = workflowId },
            SignalName = "external",
            ChildWorkflowOnly = childOnly,
        },
    };

    public static Command CancelExternal(string workflowId) => new()
    {
        CommandType = CommandType.RequestCancelExternalWorkflowExecution,
        RequestCancelExternalWorkflowExecutionCommandAttributes = new() { WorkflowId = workflowId, Reason = "no more needed" },
    };

    public static Command Message(string messageId) => new()
    {
        CommandType = CommandType.ProtocolMessage,
        ProtocolMessageCommandAttributes = new() { MessageId = messageId },
    };
}
