using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.Tests.TemporalDev.Sdk;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.History.V1;
using Temporalio.Api.Sdk.V1;

namespace SnapshotFlow.Tests.TemporalDev.Conformance;

/// <summary>Section 8: what the events say.</summary>
[Collection(nameof(DevServer))]
public sealed class S08_Events(DevServer server)
{
    private readonly RawWorker worker = new(server.Client);

    private async Task<HistoryEvent> FindAsync(EventType type) => (await worker.HistoryAsync()).Single(e => e.EventType == type);

    [Fact]
    public async Task S08_Ids_have_no_gaps_and_every_event_has_its_time_and_type()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Activity(worker, "a"), Commands.Timer("t", 60));
        await worker.CompleteActivityAsync(await worker.PollActivityAsync());
        await worker.CompleteAsync(await worker.PollAsync(), Commands.CancelTimer("t"), Commands.Complete());
        var history = await worker.HistoryAsync();
        Assert.Equal(Enumerable.Range(1, history.Count), history.Select(e => (int)e.EventId));
        Assert.All(history, e =>
        {
            Assert.NotNull(e.EventTime);
            Assert.NotEqual(HistoryEvent.AttributesOneofCase.None, e.AttributesCase);
            Assert.Equal($"{e.EventType}EventAttributes", e.AttributesCase.ToString());
            Assert.False(e.WorkerMayIgnore);
        });
    }

    [Fact]
    public async Task S08_The_started_event_identifies_its_run()
    {
        var memo = new Memo { Fields = { ["colour"] = RawWorker.Text("red").Payloads_[0] } };
        await worker.StartAsync(r =>
        {
            r.Input = RawWorker.Text("input");
            r.Memo = memo;
            r.Header = new() { Fields = { ["trace"] = RawWorker.Text("t").Payloads_[0] } };
            r.WorkflowExecutionTimeout = RawWorker.Seconds(100);
        });
        var started = (await FindAsync(EventType.WorkflowExecutionStarted)).WorkflowExecutionStartedEventAttributes;
        Assert.Equal(worker.RunId, started.OriginalExecutionRunId);
        Assert.Equal(worker.RunId, started.FirstExecutionRunId);
        Assert.Equal(worker.WorkflowId, started.WorkflowId);
        Assert.Equal("raw", started.WorkflowType.Name);
        Assert.Equal(worker.Queue, started.TaskQueue.Name);
        Assert.Equal(RawWorker.Text("input"), started.Input);
        Assert.Equal(memo, started.Memo);
        Assert.Equal("\"t\"", started.Header.Fields["trace"].Data.ToStringUtf8());
        Assert.Equal("raw-client", started.Identity);
        Assert.Equal(1, started.Attempt);
        Assert.Equal(10, started.WorkflowTaskTimeout.Seconds);
        Assert.Equal(100, started.WorkflowRunTimeout.Seconds);
        Assert.NotNull(started.WorkflowExecutionExpirationTime);
        Assert.Null(started.RootWorkflowExecution);
        Assert.Null(started.ParentWorkflowExecution);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_The_task_events_refer_to_each_other()
    {
        await worker.StartAsync();
        var metadata = new WorkflowTaskCompletedMetadata { CoreUsedFlags = { 1, 3 }, LangUsedFlags = { 7 }, SdkName = "raw", SdkVersion = "1" };
        await worker.CompleteAsync(
            await worker.PollAsync(),
            r =>
            {
                r.SdkMetadata = metadata;
                r.WorkerVersionStamp = new() { BuildId = "build-1" };
                r.MeteringMetadata = new() { NonfirstLocalActivityExecutionAttempts = 2 };
            },
            Commands.Complete());
        var started = await FindAsync(EventType.WorkflowTaskStarted);
        var completed = (await FindAsync(EventType.WorkflowTaskCompleted)).WorkflowTaskCompletedEventAttributes;
        Assert.Equal(2, started.WorkflowTaskStartedEventAttributes.ScheduledEventId);
        Assert.True(started.WorkflowTaskStartedEventAttributes.HistorySizeBytes > 0);
        Assert.Equal(2, completed.ScheduledEventId);
        Assert.Equal(started.EventId, completed.StartedEventId);
        Assert.Equal(metadata, completed.SdkMetadata);
        Assert.Equal("build-1", completed.WorkerVersion.BuildId);
        Assert.Equal(4, (await FindAsync(EventType.WorkflowExecutionCompleted)).WorkflowExecutionCompletedEventAttributes.WorkflowTaskCompletedEventId);
    }

    [Fact]
    public async Task S08_A_marker_is_kept_word_for_word()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Marker("patch"));
        var marker = (await FindAsync(EventType.MarkerRecorded)).MarkerRecordedEventAttributes;
        Assert.Equal("patch", marker.MarkerName);
        Assert.Equal(RawWorker.Text("kept"), marker.Details["data"]);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_Summaries_of_commands_are_on_their_events()
    {
        var metadata = new UserMetadata { Summary = RawWorker.Text("why").Payloads_[0] };
        await worker.StartAsync(r => r.UserMetadata = new() { Summary = RawWorker.Text("s").Payloads_[0], Details = RawWorker.Text("d").Payloads_[0] });
        var timer = Commands.Timer("t", 60);
        timer.UserMetadata = metadata;
        await worker.CompleteAsync(await worker.PollAsync(), timer);
        Assert.Equal(metadata, (await FindAsync(EventType.TimerStarted)).UserMetadata);
        Assert.Equal("\"d\"", (await FindAsync(EventType.WorkflowExecutionStarted)).UserMetadata.Details.Data.ToStringUtf8());
        Assert.Equal("\"s\"", (await worker.DescribeAsync()).ExecutionConfig.UserMetadata.Summary.Data.ToStringUtf8());
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_Completion_callbacks_are_passed_through()
    {
        var callback = new Callback { Nexus = new() { Url = "http://127.0.0.1:9/callback", Header = { ["token"] = "t" } } };
        var attached = new Callback { Nexus = new() { Url = "http://127.0.0.1:9/attached" } };
        await worker.StartAsync(r => r.CompletionCallbacks.Add(callback));
        await worker.StartAsync(r =>
        {
            r.WorkflowIdConflictPolicy = WorkflowIdConflictPolicy.UseExisting;
            r.OnConflictOptions = new() { AttachRequestId = true, AttachCompletionCallbacks = true };
            r.CompletionCallbacks.Add(attached);
        });
        Assert.Equal([callback], (await FindAsync(EventType.WorkflowExecutionStarted)).WorkflowExecutionStartedEventAttributes.CompletionCallbacks);
        Assert.Equal([callback, attached], (await worker.DescribeAsync()).Callbacks.Select(c => c.Callback));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_Links_are_passed_through()
    {
        var link = new Link { WorkflowEvent = new() { Namespace = "default", WorkflowId = "other", RunId = Guid.NewGuid().ToString() } };
        await worker.StartAsync(r => r.Links.Add(link));
        Assert.Equal(link, Assert.Single((await FindAsync(EventType.WorkflowExecutionStarted)).Links));
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_A_timer_that_fires_names_its_start()
    {
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Timer("t", 0.2));
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Complete());
        var started = await FindAsync(EventType.TimerStarted);
        var fired = await FindAsync(EventType.TimerFired);
        Assert.Equal("t", fired.TimerFiredEventAttributes.TimerId);
        Assert.Equal(started.EventId, fired.TimerFiredEventAttributes.StartedEventId);
        Assert.True(fired.EventTime.ToDateTime() - started.EventTime.ToDateTime() >= TimeSpan.FromMilliseconds(200));
    }

    [Fact]
    public async Task S08_A_child_knows_its_parent_and_its_root()
    {
        var child = new RawWorker(server.Client);
        var grandchild = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child));
        await child.CompleteAsync(await child.PollAsync(), Commands.Child(grandchild));
        var task = await grandchild.PollAsync();
        var started = task.History.Events[0].WorkflowExecutionStartedEventAttributes;
        Assert.Equal(child.WorkflowId, started.ParentWorkflowExecution.WorkflowId);
        Assert.Equal(RawWorker.Namespace, started.ParentWorkflowNamespace);
        Assert.Equal(5, started.ParentInitiatedEventId);
        Assert.Equal(worker.Execution, started.RootWorkflowExecution);
        var description = (await grandchild.DescribeAsync()).WorkflowExecutionInfo;
        Assert.Equal(child.WorkflowId, description.ParentExecution.WorkflowId);
        Assert.Equal(worker.WorkflowId, description.RootExecution.WorkflowId);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_A_child_that_completes_names_all_its_events()
    {
        var child = new RawWorker(server.Client);
        await worker.StartAsync();
        await worker.CompleteAsync(await worker.PollAsync(), Commands.Child(child));
        await child.CompleteAsync(await child.PollAsync(), Commands.Complete("from the child"));
        await Until.TrueAsync(async () => (await worker.EventTypesAsync()).Contains(EventType.ChildWorkflowExecutionCompleted));
        var initiated = await FindAsync(EventType.StartChildWorkflowExecutionInitiated);
        var started = await FindAsync(EventType.ChildWorkflowExecutionStarted);
        var completed = (await FindAsync(EventType.ChildWorkflowExecutionCompleted)).ChildWorkflowExecutionCompletedEventAttributes;
        Assert.Equal(initiated.EventId, started.ChildWorkflowExecutionStartedEventAttributes.InitiatedEventId);
        Assert.NotEmpty(started.ChildWorkflowExecutionStartedEventAttributes.WorkflowExecution.RunId);
        Assert.Equal(initiated.EventId, completed.InitiatedEventId);
        Assert.Equal(started.EventId, completed.StartedEventId);
        Assert.Equal(RawWorker.Text("from the child"), completed.Result);
        Assert.Equal(ParentClosePolicy.Terminate, initiated.StartChildWorkflowExecutionInitiatedEventAttributes.ParentClosePolicy);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_The_suggestion_to_continue_as_new_comes_with_the_events()
    {
        await worker.StartAsync();
        var task = await worker.PollAsync();
        Assert.False(task.History.Events[^1].WorkflowTaskStartedEventAttributes.SuggestContinueAsNew);
        await worker.CompleteAsync(task, r => r.ForceCreateNewWorkflowTask = true, [.. Enumerable.Range(0, 4200).Select(i => Commands.Marker("m"))]);
        var events = new List<HistoryEvent>();
        task = await worker.PollAsync();
        events.AddRange(task.History.Events);
        for (var token = task.NextPageToken; !token.IsEmpty;)
        {
            var page = await worker.Service.GetWorkflowExecutionHistoryAsync(new() { Namespace = RawWorker.Namespace, Execution = worker.Execution, NextPageToken = token });
            events.AddRange(page.History.Events);
            token = page.NextPageToken;
        }

        Assert.Equal(task.StartedEventId, events[^1].EventId);
        Assert.True(events[^1].WorkflowTaskStartedEventAttributes.SuggestContinueAsNew);
        await worker.TerminateAsync();
    }

    [Fact]
    public async Task S08_An_upsert_is_in_the_history_and_in_the_description()
    {
        await worker.StartAsync(r => r.Memo = new() { Fields = { ["gone"] = RawWorker.Text("x").Payloads_[0], ["kept"] = RawWorker.Text("y").Payloads_[0] } });
        await worker.CompleteAsync(await worker.PollAsync(), new Temporalio.Api.Command.V1.Command
        {
            CommandType = CommandType.ModifyWorkflowProperties,
            ModifyWorkflowPropertiesCommandAttributes = new()
            {
                UpsertedMemo = new()
                {
                    Fields =
                    {
                        ["new"] = RawWorker.Text("z").Payloads_[0],
                        ["gone"] = new Payload { Metadata = { ["encoding"] = Google.Protobuf.ByteString.CopyFromUtf8("binary/null") } },
                    },
                },
            },
        });
        Assert.Equal(2, (await FindAsync(EventType.WorkflowPropertiesModified)).WorkflowPropertiesModifiedEventAttributes.UpsertedMemo.Fields.Count);
        Assert.Equal(["kept", "new"], (await worker.DescribeAsync()).WorkflowExecutionInfo.Memo.Fields.Keys.Order());
        await worker.TerminateAsync();
    }
}
