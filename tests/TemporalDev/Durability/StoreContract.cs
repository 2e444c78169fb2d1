using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Store.Postgres;
using static SnapshotFlow.Tests.TemporalDev.Durability.StoredThings;

namespace SnapshotFlow.Tests.TemporalDev.Durability;

/// <summary>What every store owes to the server. Each test gets fresh data.</summary>
public abstract class StoreContract : IAsyncLifetime
{
    private IStore store = null!;

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>The store on this test's data, as a server that starts would open it.</summary>
    protected abstract Task<IStore> OpenAsync();

    public async ValueTask InitializeAsync()
    {
        store = await OpenAsync();
        var state = await store.LoadAsync(Token);
        Assert.Empty(state.Live);
        Assert.Empty(state.Closed);
        Assert.Empty(state.Blobs);
    }

    public virtual async ValueTask DisposeAsync()
    {
        await store.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task An_open_run_comes_back_with_its_events_its_side_record_and_its_header()
    {
        var run = Run();
        var change = Change(run, 1, 3, """{"a":1}""");
        await WriteAsync(Of(change));
        await WriteAsync(Of(Change(run, 4, 4, """{"a":2}""")));

        var found = Assert.Single((await ReopenAsync()).Live);

        Assert.Equal(run, found.Key);
        Assert.Equal([1, 2, 3, 4], found.Events.Select(e => e.EventId));
        Assert.Equal(change.Events, found.Events.Take(3));
        Assert.Equal("""{"a":2}"""u8.ToArray(), found.Side);
        Assert.Equal(change.Header, found.Header);
    }

    [Fact]
    public async Task A_closed_run_comes_back_as_its_header_and_with_its_history_when_asked_for()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)), Of(Change(run, 3, 3, isLive: false)));

        var state = await ReopenAsync();

        Assert.Empty(state.Live);
        var (key, header) = Assert.Single(state.Closed);
        Assert.Equal(run, key);
        Assert.Equal(Header(run, isLive: false), header);
        var loaded = await store.LoadRunAsync(run, Token);
        Assert.Equal([1, 2, 3], loaded!.Events.Select(e => e.EventId));
        Assert.Equal("{}"u8.ToArray(), loaded.Side);
    }

    [Fact]
    public async Task A_run_that_does_not_exist_is_null() => Assert.Null(await store.LoadRunAsync(Run(), Token));

    [Fact]
    public async Task A_change_without_events_replaces_side_record_and_header()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)));
        await WriteAsync(Of(new RunChange(run, 3, [], "changed"u8.ToArray(), Header(run))));

        var found = Assert.Single((await ReopenAsync()).Live);

        Assert.Equal(2, found.Events.Count);
        Assert.Equal("changed"u8.ToArray(), found.Side);
    }

    [Fact]
    public async Task A_workflow_id_has_one_current_run_the_one_that_was_made_so_last()
    {
        var (first, second, third) = (Run("same"), Run("same"), Run("same"));
        var elsewhere = new RunKey("other", "same", Guid.NewGuid().ToString());
        await WriteAsync(Of(Change(elsewhere, 1, 1)), Of(Change(first, 1, 2)));
        await WriteAsync(Of(Change(first, 3, 3, isCurrent: false, isLive: false), Change(second, 1, 1)));
        await WriteAsync(Of(Change(second, 2, 2)), Of(Change(third, 1, 1)));

        var state = await ReopenAsync();

        var current = state.Live.Select(r => (r.Key, r.Header)).Concat(state.Closed).Where(r => r.Header.IsCurrent).Select(r => r.Key);
        Assert.Equivalent(new[] { third, elsewhere }, current, strict: true);
    }

    [Fact]
    public async Task Events_that_do_not_follow_the_last_one_are_refused_and_their_whole_batch_with_them()
    {
        var (run, other) = (Run(), Run("other"));
        await WriteAsync(Of(Change(run, 1, 2)));

        await Assert.ThrowsAnyAsync<Exception>(() => WriteAsync(Of(Change(other, 1, 1)), Of(Change(run, 4, 4))));

        var found = Assert.Single((await ReopenAsync()).Live);
        Assert.Equal(run, found.Key);
        Assert.Equal(2, found.Events.Count);
    }

    [Fact]
    public async Task Events_are_never_written_twice()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)));

        await Assert.ThrowsAnyAsync<Exception>(() => WriteAsync(Of(Change(run, 1, 2))));

        Assert.Equal(2, Assert.Single((await ReopenAsync()).Live).Events.Count);
    }

    [Fact]
    public async Task A_deleted_run_is_gone_with_its_history_also_when_it_began_in_the_same_batch()
    {
        var (kept, old, brief) = (Run("kept"), Run("old"), Run("brief"));
        await WriteAsync(Of(Change(kept, 1, 1)), Of(Change(old, 1, 2)));
        await WriteAsync(Of(Change(brief, 1, 2)), Of(Change(old, 3, 3)), new Transition([], [old, brief], []));

        Assert.Equal(kept, Assert.Single((await ReopenAsync()).Live).Key);
        Assert.Null(await store.LoadRunAsync(old, Token));
        Assert.Null(await store.LoadRunAsync(brief, Token));
    }

    [Fact]
    public async Task Blobs_are_kept_by_kind_and_key_until_they_are_removed()
    {
        await WriteAsync(Blob("namespace", "a", [1]), Blob("namespace", "b", [2]), Blob("schedule", "a", [3]));
        await WriteAsync(Blob("namespace", "a", [4]), Blob("namespace", "a", [5]), Blob("namespace", "b", null), Blob("schedule", "never was", null));

        var blobs = (await ReopenAsync()).Blobs;

        Assert.Equal([("namespace", "a", 5), ("schedule", "a", 3)], blobs.OrderBy(b => b.Kind).Select(b => (b.Kind, b.Key, (int)Assert.Single(b.Value!))));
    }

    [Fact]
    public async Task A_run_and_what_it_starts_become_durable_together()
    {
        var (parent, child) = (Run("parent"), Run("child"));
        await WriteAsync(new Transition([Change(parent, 1, 1), Change(child, 1, 1)], [], [new BlobChange("schedule", "s", [1])]));

        var state = await ReopenAsync();

        Assert.Equal(2, state.Live.Count);
        Assert.Single(state.Blobs);
    }

    [Fact]
    public async Task A_header_that_has_not_changed_need_not_be_written_again()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)));
        await WriteAsync(Of(Change(run, 3, 3) with { Header = null }));
        Assert.Equal(Header(run), Assert.Single((await ReopenAsync()).Live).Header);
        await WriteAsync(Of(Change(run, 4, 4, "last") with { Header = null }));

        var found = Assert.Single((await ReopenAsync()).Live);

        Assert.Equal(Header(run), found.Header);
        Assert.Equal([1, 2, 3, 4], found.Events.Select(e => e.EventId));
        Assert.Equal("last"u8.ToArray(), found.Side);
    }

    [Fact]
    public async Task A_run_cannot_begin_without_a_header()
    {
        await Assert.ThrowsAnyAsync<Exception>(() => WriteAsync(Of(Change(Run(), 1, 1) with { Header = null })));

        Assert.Empty((await ReopenAsync()).Live);
    }

    [Fact]
    public async Task A_closed_run_can_be_read_while_it_is_still_being_written_to()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)));
        await WriteAsync(Of(Change(run, 3, 4, isLive: false)));
        Assert.Equal(4, (await store.LoadRunAsync(run, Token))!.Events.Count);

        await WriteAsync(Of(new RunChange(run, 5, [], "reset"u8.ToArray(), Header(run, isLive: false))));

        Assert.Equal("reset"u8.ToArray(), (await store.LoadRunAsync(run, Token))!.Side);
    }

    [Fact]
    public async Task What_was_written_before_and_after_a_restart_is_one_history()
    {
        var (run, gone) = (Run(), Run("gone"));
        await WriteAsync(Of(Change(run, 1, 2)), Of(Change(gone, 1, 1)), Blob("schedule", "a", [1]));
        await ReopenAsync();
        await WriteAsync(Of(Change(run, 3, 3)), new Transition([], [gone], []), Blob("schedule", "a", null), Blob("schedule", "b", [2]));

        var state = await ReopenAsync();

        Assert.Equal([1, 2, 3], Assert.Single(state.Live).Events.Select(e => e.EventId));
        Assert.Equal("b", Assert.Single(state.Blobs).Key);
        await Assert.ThrowsAnyAsync<Exception>(() => WriteAsync(Of(Change(run, 3, 3))));
    }

    [Fact]
    public async Task Large_events_and_large_batches_come_back_whole()
    {
        var large = Run("large");
        var many = Enumerable.Range(0, 300).Select(i => Run($"many {i}")).ToArray();
        await WriteAsync([Of(Change(large, 1, 3, size: 2_000_000)), .. many.Select(r => Of(Change(r, 1, 5)))]);

        var state = await ReopenAsync();

        Assert.Equal(301, state.Live.Count);
        var found = state.Live.Single(r => r.Key == large);
        Assert.All(found.Events, e => Assert.Equal(2_000_000, e.WorkflowExecutionSignaledEventAttributes.Input.Payloads_[0].Data.Length));
    }

    protected IStore Store => store;

    protected Task WriteAsync(params Transition[] batch) => store.WriteAsync(batch, Token);

    /// <summary>The server ends, and another one starts on the same data.</summary>
    protected async Task<StoredState> ReopenAsync()
    {
        await store.DisposeAsync();
        store = await OpenAsync();
        return await store.LoadAsync(Token);
    }

    private static Transition Blob(string kind, string key, byte[]? value) => Transition.OfBlob(new BlobChange(kind, key, value));
}

/// <summary>The store with which tests start a server again inside one process.</summary>
public sealed class RetainingMemoryStoreContract : StoreContract
{
    private readonly MemoryStore memory = new(retain: true);

    protected override Task<IStore> OpenAsync() => Task.FromResult<IStore>(memory);
}

public sealed class PostgresStoreContract(SharedPostgres postgres) : StoreContract
{
    private string? connectionString;

    protected override async Task<IStore> OpenAsync()
    {
        Assert.SkipWhen(PrivatePostgres.Missing is not null, PrivatePostgres.Missing ?? "");
        connectionString ??= await (await postgres.Cluster).CreateDatabaseAsync();
        return Stores.Postgres(connectionString);
    }
}

/// <summary>The same with a checkpoint after every write, so that what is read comes from the tables.</summary>
public sealed class CheckpointingPostgresStoreContract(SharedPostgres postgres) : StoreContract
{
    private string? connectionString;

    [Fact]
    public async Task A_checkpoint_leaves_nothing_in_the_journal()
    {
        var run = Run();
        await WriteAsync(Of(Change(run, 1, 2)));

        // Waits for the checkpoint.
        Assert.NotNull(await Store.LoadRunAsync(run, Token));

        Assert.Equal(0, await PrivatePostgres.ScalarAsync<long>(connectionString!, "select count(*) from temporal_dev.journal"));
        Assert.Equal(1, await PrivatePostgres.ScalarAsync<long>(connectionString!, "select count(*) from temporal_dev.runs where last_event_id = 2"));
    }

    protected override async Task<IStore> OpenAsync()
    {
        Assert.SkipWhen(PrivatePostgres.Missing is not null, PrivatePostgres.Missing ?? "");
        connectionString ??= await (await postgres.Cluster).CreateDatabaseAsync();
        return Stores.Postgres(connectionString, checkpointBytes: 1);
    }
}
