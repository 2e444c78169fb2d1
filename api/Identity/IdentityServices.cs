using Microsoft.AspNetCore.Authentication;
using Microsoft.Extensions.Options;
using SnapshotFlow.Api.Identity.Development;
using SnapshotFlow.Api.Identity.Keystone;
using SnapshotFlow.Api.Identity.Sessions;

namespace SnapshotFlow.Api.Identity;

internal static class IdentityServices
{
    /// <summary>The scheme that asks the endpoint: the API's take tokens from headers, the dashboard's pages a session's cookie, and neither takes the other's.</summary>
    private const string ByEndpoint = "endpoint";

    public static IServiceCollection AddIdentity(this IServiceCollection services)
    {
        services.AddOptions<IdentityOptions>().BindConfiguration("Identity").ValidateOnStart()
            .PostConfigure(o => o.ServiceTokenRoles = o.ServiceTokenRoles.Count == 0 ? ["service"] : o.ServiceTokenRoles);
        services.AddSingleton<IValidateOptions<IdentityOptions>, IdentityValidation>();
        services.AddSingleton<UserDirectory>();
        services.AddSingleton<DevelopmentTokens>();
        services.AddSingleton<KeystoneClient>();
        services.AddSingleton<KeystoneTokens>();
        services.AddSingleton<ITokenVerifier>(provider => provider.GetRequiredService<IOptions<IdentityOptions>>().Value.Mode switch
        {
            AuthMode.Keystone => provider.GetRequiredService<KeystoneTokens>(),
            _ => provider.GetRequiredService<DevelopmentTokens>(),
        });
        services.AddSingleton<DevelopmentSignIn>();
        services.AddSingleton<KeystoneSignIn>();
        services.AddSingleton<ISignIn>(provider => provider.GetRequiredService<IOptions<IdentityOptions>>().Value.Mode switch
        {
            AuthMode.Keystone => provider.GetRequiredService<KeystoneSignIn>(),
            _ => provider.GetRequiredService<DevelopmentSignIn>(),
        });
        services.AddSingleton(TimeProvider.System);
        // Not AddAuthentication: that brings data protection, which writes a key ring to the home directory; the cookie of a session is the token itself.
        services.AddAuthenticationCore(o => o.DefaultScheme = ByEndpoint).AddWebEncoders();
        new AuthenticationBuilder(services)
            .AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.SchemeName, null)
            .AddScheme<AuthenticationSchemeOptions, SessionAuthentication>(SessionAuthentication.SchemeName, null)
            .AddPolicyScheme(ByEndpoint, null, o => o.ForwardDefaultSelector =
                context => context.GetEndpoint()?.Metadata.GetMetadata<BySession>() is null ? TokenAuthentication.SchemeName : SessionAuthentication.SchemeName);
        services.AddAuthorization();
        return services;
    }

    /// <summary>The Identity API, where it is ours to serve.</summary>
    public static void MapIdentity(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<IdentityOptions>>().Value.Mode is AuthMode.Development)
        {
            app.MapTokens();
            app.MapDirectory();
            app.MapIdentityVersions();
        }
    }
}

/// <summary>What is wrong with the section <c>Identity</c>, key by key. Values are never repeated.</summary>
internal sealed class IdentityValidation : IValidateOptions<IdentityOptions>
{
    public ValidateOptionsResult Validate(string? name, IdentityOptions options)
    {
        var wrong = options.Mode switch
        {
            AuthMode.Development => Development(options.Development),
            AuthMode.Keystone => Keystone(options.Keystone),
            _ => [$"Identity:Auth is {(string.IsNullOrWhiteSpace(options.Auth) ? "missing" : "neither keystone nor development")}: set it to keystone, or to development for users from a file"],
        };
        return wrong.ToList() is [_, ..] failures ? ValidateOptionsResult.Fail(failures) : ValidateOptionsResult.Success;
    }

    private static IEnumerable<string> Development(DevelopmentOptions options)
    {
        if (options.TokenLifetime < TimeSpan.FromSeconds(1) || options.TokenLifetime > TimeSpan.FromDays(365))
        {
            yield return "Identity:Development:TokenLifetime is not between a second and a year: write for example 01:00:00";
        }

        if (string.IsNullOrWhiteSpace(options.UsersFile))
        {
            yield return "Identity:Development:UsersFile is missing: set it to the path of the file that says who the users are";
            yield break;
        }

        string? problem = null;
        try
        {
            Users.Load(options.UsersFile);
        }
        catch (FormatException e)
        {
            problem = e.Message;
        }

        if (problem is not null)
        {
            yield return $"Identity:Development:UsersFile cannot be used: {problem}";
        }
    }

    private static IEnumerable<string> Keystone(KeystoneOptions options)
    {
        if (options.Url is not { IsAbsoluteUri: true, Scheme: "http" or "https" })
        {
            yield return "Identity:Keystone:Url is missing or no http or https URL: write for example http://127.0.0.1:5000/v3";
        }

        if (options.PublicUrl is not (null or { IsAbsoluteUri: true, Scheme: "http" or "https" }))
        {
            yield return "Identity:Keystone:PublicUrl is no absolute http or https URL: write for example https://cloud.example:5000/v3, or leave it out";
        }

        if (string.IsNullOrEmpty(options.Username))
        {
            yield return "Identity:Keystone:Username is missing: the name of the account that may ask about tokens";
        }

        if (string.IsNullOrEmpty(options.Password))
        {
            yield return "Identity:Keystone:Password is missing: the password of the account that may ask about tokens";
        }

        if (options.CacheTime < TimeSpan.Zero)
        {
            yield return "Identity:Keystone:CacheTime is negative: write for example 00:05:00, or 00:00:00 to ask every time";
        }

        if (options.Timeout <= TimeSpan.Zero)
        {
            yield return "Identity:Keystone:Timeout is not a positive time: write for example 00:00:10";
        }
    }
}
