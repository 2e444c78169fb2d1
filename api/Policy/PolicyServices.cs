using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Configuration;
using SnapshotFlow.Api.Faults;
using SnapshotFlow.Api.Identity;

namespace SnapshotFlow.Api.Policy;

/// <summary>Bound to the section <c>Policy</c>.</summary>
internal sealed class PolicyOptions
{
    /// <summary>
    /// A YAML file of rules that differ from the defaults, in oslo.policy's language: <c>"os_compute_api:servers:create_image": "role:backup or
    /// rule:context_is_admin"</c>. Read again when it changes. Null: the defaults.
    /// </summary>
    public string? File { get; set; }
}

/// <summary>The rules in force.</summary>
internal sealed partial class PolicyService
{
    private readonly WatchedFile<PolicyRules>? file;

    public PolicyService(IOptions<PolicyOptions> options, ILogger<PolicyService> logger)
    {
        if (options.Value.File is { Length: > 0 } path)
        {
            file = new(path, p => Report(PolicyRules.Load(p), logger), "Policy:File", logger);
        }
    }

    public PolicyRules Rules => file?.Current() ?? PolicyRules.Default;

    private static PolicyRules Report(PolicyRules rules, ILogger logger)
    {
        if (rules.Unused.Count > 0)
        {
            Log.Unused(logger, string.Join(", ", rules.Unused));
        }

        return rules;
    }

    private static partial class Log
    {
        [LoggerMessage(210, LogLevel.Warning, "Policy:File has rules that nothing here asks for: {Rules}")]
        public static partial void Unused(ILogger logger, string rules);
    }
}

internal static class PolicyServices
{
    public static IServiceCollection AddPolicy(this IServiceCollection services)
    {
        services.AddOptions<PolicyOptions>().BindConfiguration("Policy").ValidateOnStart();
        services.AddSingleton<IValidateOptions<PolicyOptions>, FileCanBeUsed>();
        return services.AddSingleton<PolicyService>();
    }

    /// <summary>Ends the request with 403 unless the caller may do this in the token's own project.</summary>
    public static void Demand(this HttpContext context, string rule)
    {
        var token = context.Token();
        context.Demand(rule, PolicyTarget.Of(token.ProjectId ?? "", token.UserId));
    }

    /// <summary>Ends the request with 403 unless the caller may do this with that thing.</summary>
    public static void Demand(this HttpContext context, string rule, PolicyTarget target)
    {
        if (!context.May(rule, target))
        {
            throw Fault.Forbidden($"Policy doesn't allow {rule} to be performed.");
        }
    }

    /// <summary>Whether the caller may do this with that thing.</summary>
    public static bool May(this HttpContext context, string rule, PolicyTarget target)
    {
        var token = context.Token();
        return (token.ProjectId is not null || rule.StartsWith("identity:", StringComparison.Ordinal))
            && context.RequestServices.GetRequiredService<PolicyService>().Rules.Allows(rule, new TokenCredentials(token, context.IsAdmin()), target);
    }

    /// <summary>Whether the rule <c>context_is_admin</c> makes the caller an administrator.</summary>
    public static bool IsAdmin(this HttpContext context)
    {
        var token = context.Token();
        return context.RequestServices.GetRequiredService<PolicyService>().Rules.Allows(
            Policies.ContextIsAdmin, new TokenCredentials(token, isAdmin: false), PolicyTarget.Of(token.ProjectId ?? "", token.UserId));
    }

    private sealed class FileCanBeUsed : IValidateOptions<PolicyOptions>
    {
        public ValidateOptionsResult Validate(string? name, PolicyOptions options)
        {
            try
            {
                if (options.File is { Length: > 0 } path)
                {
                    PolicyRules.Load(path);
                }

                return ValidateOptionsResult.Success;
            }
            catch (FormatException e)
            {
                return ValidateOptionsResult.Fail($"Policy:File cannot be used: {e.Message}");
            }
        }
    }
}

/// <summary>A token as policy sees it. Source: oslo.context, attributes of <c>to_policy_values()</c>.</summary>
internal sealed class TokenCredentials(VerifiedToken token, bool isAdmin) : ICredentials
{
    public IReadOnlyList<string> Values(string attribute) => attribute switch
    {
        "roles" => token.Roles,
        "user_id" => [token.UserId],
        "project_id" or "tenant_id" => Known(token.ProjectId),
        "user_domain_id" => Known(token.UserDomainId),
        "project_domain_id" => Known(token.ProjectDomainId),
        "domain_id" => Known(token.DomainId),
        "system_scope" => token.SystemScope ? ["all"] : [],
        "is_admin" => [isAdmin ? "True" : "False"],
        "is_admin_project" => ["True"],
        "service_roles" => token.ServiceRoles,
        _ => [],
    };

    private static IReadOnlyList<string> Known(string? value) => value is { Length: > 0 } ? [value] : [];
}
